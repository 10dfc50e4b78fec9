"""What books and chapters are called: titles in an older character set, and titles that are none.

Light: children import it.
"""

import re

from bookbrain.formats.page_text import clean

# In a title's string without a mark of its encoding pdfium takes each byte for a character of
# PDFDocEncoding. These are not those of Latin-1; AD, which Korean needs, is none: it becomes NUL,
# or a space in a bookmark.
_PDF_CHARACTERS = dict(zip("˘ˇˆ˙˝˛˚˜", range(0x18, 0x20), strict=True)) | dict(
    zip("•†‡…—–ƒ⁄‹›−‰„“”‘’‚™ﬁﬂŁŒŠŸŽıłœšž", range(0x80, 0x9F), strict=True)
)
_BYTES = str.maketrans({sign: chr(byte) for sign, byte in _PDF_CHARACTERS.items()} | {"€": "\xa0"})
_PAIR = re.compile(rb"([\x81-\xfe])(.)", re.DOTALL)
_HANGUL_RUN = re.compile("[가-힣]+")
_FREQUENT = set(
    "가각간값갈감강같개객갱거건걸검것게겠격결경계고곡곤골공과관광교구국군권귀규그극근글금급기길"
    "김깊까께꾸끝나난날남내너네년노논높누눈는능니다단달담당대더던데도독동되된될두둘뒤드든들등"
    "디딩때또라란람랑래램략량러런럼레려력련령로록론료루류률르른를름리릭린림링마막만많말맞망매"
    "머먼메며면명모목몰못무문물미민및바박반받발밝방배백버번벌범법변별병보복본봉부북분불브블비빌"
    "빠사산살삼상새색생서석선설섬성세션셋소속손송수순술숨쉬쉽스습시식신실심십써쓰씨아악안않알암"
    "압앙앞야약양어언얼업없에엔여역연열영예오온올와완왕왜외요용우운울움웃워원위유육윤으은을음응의"
    "이인일읽임입있자작잔장재쟁저적전절점접정제져조족존종좌주준중증즈즉지직진질짐집짜쪽차착찬참"
    "창찾채책처척천철첫청체초촉총최추축출충취치칙친침카칼커컨컴케켜코콘콜쿠크큰클키킹타탄탐태"
    "택터턴테텍텐템토톤톱통투트특튼티틴팀파판팔패팩퍼페편평포폭폰표푸품풍프플피필하학한할함합항해"
    "핵행향허험헌혁현형호혹혼홀화확환활황회획효후훈휘흐희히힘"
)
_KOREAN, _FREQUENT_SHARE = 0.8, 0.5


def as_meant(text: str) -> str:
    """A title as its writer meant it, where pdfium took bytes of UTF-8 or CP949 for Western text.

    What is not certainly that stays as it is, above all titles in Western languages.
    """
    if text.isascii() and "\0" not in text:
        return text
    try:
        data = text.translate(_BYTES).encode("latin-1")
    except UnicodeEncodeError:
        return text
    try:
        return data.decode() if b"\0" not in data else _from_korean(data, text)
    except UnicodeDecodeError:
        return _from_korean(data, text)


def _from_korean(data: bytes, text: str) -> str:
    """The bytes in CP949 where they are Korean: `text` otherwise.

    ÇÃ and ÄÖ are syllables too: there must be more in a row, and most of them frequent.
    """
    try:
        korean = _PAIR.sub(_second_byte, data).decode("cp949")
    except UnicodeDecodeError:
        return text
    runs = _HANGUL_RUN.findall(korean)
    syllables = "".join(runs)
    foreign = sum(not character.isascii() for character in korean)
    frequent = sum(syllable in _FREQUENT for syllable in syllables)
    sure = (
        max(map(len, runs), default=0) >= 2
        and len(syllables) >= _KOREAN * foreign
        and frequent >= _FREQUENT_SHARE * len(syllables)
    )
    return korean if sure else text


def _second_byte(pair: "re.Match[bytes]") -> bytes:
    return pair[1] + (b"\xad" if pair[2] in b"\0 " else pair[2])


# Titles that are none


_SUFFIX = (
    "pdf|docx?|docm|dotx?|odt|ods|odp|rtf|txt|tex|dvi|e?ps|indd|idml|qx[dp]|pmd|p65|fm|key|pages"
    "|numbers|pptx?|ppsx?|pptm|xlsx?|xlsm|hwpx?|hwt|html?|mht|xml|md|rst|adoc|sgml|texi|lyx|pub|vsdx?"
    "|cdr|psd|jpe?g|png|tiff?|gif|bmp|epub|mobi|djvu|wpd|wps|sxw|sla|tmp|zip|asp|php|jsp"
)
_FILE = re.compile(rf".*\S\.(?:{_SUFFIX})(?:\s*[\[(][^\])]*[\])]|\s+-\s+한글|\s+-\s+hwp)?", re.I)
_PROGRAM = re.compile(
    r"(?:microsoft (?:office )?(?:word|powerpoint|excel|publisher|visio|project|onenote|outlook)"
    r"|(?:open|libre)office\S*(?: \w+)?|powerpoint|adobe \w+|quarkxpress\S*|한글|hwp)\s+-\s.*",
    re.I,
)
_NUMBER = r"(?:[\s_#-]*\(?[\s_-]*\d+\)?)"
_DEFAULTS = (
    r"(?:untitled|unbenannt|sans titre|sin t[ií]tulo|senza titolo|sem t[ií]tulo|ohne titel"
    r"|kein titel|no title|without title|no ?name|unnamed|unspecified|unknown"
    r"|anonymous|none|null|n/a|naamloos|namenlos|без названия)"
    rf"(?: (?:document|presentation|page|spreadsheet|design|project|notebook))?{_NUMBER}?",
    r"(?:제목|이름|타이틀)\s?(?:없음|없는\s?(?:문서|페이지|디자인|프레젠테이션|스프레드시트))"
    rf"{_NUMBER}?|(?:무제|새\s?(?:문서|파일)|빈\s?문서){_NUMBER}?",
    rf"(?:문서|통합\s?문서|프레젠테이션|슬라이드|시트|레이아웃|페이지|이미지|사진){_NUMBER}",
    r"(?:한글|한/글|hwp|아래\s?한글|워드|word|microsoft word|pdf|excel|microsoft excel)\s?"
    rf"(?:문서|document file|document|file){_NUMBER}?|microsoft (?:word|excel|powerpoint)",
    rf"(?:new|blank)\s?(?:document|page|presentation|file){_NUMBER}?",
    r"(?:document|presentation|workbook|sheet|slide|folie|dokument|documento?|drawing|présentation"
    rf"|präsentation|diapositiv[ae]|layout|page){_NUMBER}|book\d+|document|dokument|documento",
    r"presentation|présentation powerpoint|presentación de powerpoint|slide"
    r"|apresentação do powerpoint|presentazione standard di powerpoint",
    r"(?:microsoft )?powerpoint[\s-]*(?:프레젠테이션|프리젠테이션|presentation|präsentation)",
    r"powerpoint (?:プレゼンテーション|演示文稿|簡報)|プレゼンテーション\d*|演示文稿\s?\d*",
    r"文档\s?\d*|文書\s?\d*|無題\S*|名称未設定\S*|无标题\S*|未命名\S*|タイトルなし",
    r".{0,12}제목\S{0,6} ?(?:스타일 )?(?:여기에 ?)?(?:입력|추가|편집|적으|쓰세요|넣)\S*(?: \S+)?",
    r"제목|타이틀|title|titel|titre|\W?click (?:here )?to (?:add|edit|enter|insert)\b.*",
    r"\W?(?:type|enter|insert|add) (?:a |the |your )?(?:document |book |presentation )?title"
    r"(?: here)?\W?|\W?(?:my|your|the|document|insert) title(?: (?:goes )?here)?\W?",
    r"title (?:goes )?here|print(?:ing|out| job)?|인쇄|출력|full page photo(?: print)?"
    r"|전체 페이지 사진",
    r"(?:scan(?:ned|s|ning)?|스캔(?:한|된)?)"
    rf"(?:[\s_-]*(?:document|doc|image|page|file|문서|이미지|파일|본)s?)?{_NUMBER}?|문서 스캔",
    r"scan from .*|scanned (?:from|by|with) .*|scan[\W_]*\d[\d\W_]*|camscanner.*"
    r"|(?:img|dsc|image|photo|fax|doc|file)[\W_]*\d[\d\W_]*|fax|temp|tmp\d*",
    r"latex (?:document|article|book|template)|hwp document",
)
_DEFAULT = re.compile("|".join(_DEFAULTS), re.I)
_PLACE = re.compile(
    r"""[a-z]:[\\/].* | \\\\\S.* | (?:\.{0,2}|~)/(?:[^/]+/)+[^/]*
      | /(?:home|users|usr|tmp|var|mnt|media|volumes|root|data|opt|srv|private)/.*
      | (?:https?|ftps?|file|smb|about|mailto|javascript|data|urn|doi):/{0,3}[^\s].*
      | www\.\S+\.\S+ | [\w.+-]+@[\w-]+(?:\.[\w-]+)+
      | (?:[a-z0-9-]+\.)+(?:com|org|net|edu|gov|io|kr|jp|cn|de|fr|uk|eu|info)(?::\d+)?/\S*
      | [^\\\s]+(?:\\[^\\\s]+){2,}""",
    re.I | re.VERBOSE,
)
_DATE_WORD = re.compile(
    r"""\b(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?
      | sep(?:t(?:ember)?)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?
      | mon(?:day)?|tue(?:s(?:day)?)?|wed(?:nesday)?|thu(?:rs(?:day)?)?|fri(?:day)?|sat(?:urday)?
      | sun(?:day)?|am|pm|utc|gmt|kst|est|pst|cet|z)\b
      | (?<=\d)(?:st|nd|rd|th|t|z|년|월|일|시|분|초)(?![a-z가-힣]) | (?<=\d)t(?=\d) | ^d(?=:\d)
      | 오전|오후|[월화수목금토일]요일""",
    re.I | re.VERBOSE,
)
_IDENTIFIER = re.compile(r"\{?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}?|[0-9a-f]{16,}", re.I)
_NUMBERS = re.compile(r"\d+")


def is_title(name: str) -> bool:
    """Whether a cleaned title is what somebody calls a book.

    It is not where it is a program's default, a path, an address, a date or a file's name.
    """
    if not any(map(str.isalpha, name)):
        return False
    rules = (_FILE, _PROGRAM, _DEFAULT, _PLACE, _IDENTIFIER)
    return not any(rule.fullmatch(name) for rule in rules) and not _is_date(name)


def _is_date(name: str) -> bool:
    rest = _DATE_WORD.sub(" ", name)
    return len(_NUMBERS.findall(name)) > 1 and not any(map(str.isalpha, rest))


def tidy(title: str) -> str:
    """A title on one line of clean characters, as it is kept."""
    return " ".join(clean(as_meant(title)).replace("\x02", "").split())
