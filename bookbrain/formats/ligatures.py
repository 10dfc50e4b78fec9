"""Letters that a font draws as one sign and does not name: pdfium gives the sign's bare code.

Fonts differ in their codes, so which letters one stands for is decided book by book: those that
make the most words, words of the book itself or such as are frequent in technical books.
"""

import re
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence, Set
from itertools import chain, product

_HYPHEN = "[\x02\ufffe]"  # pdfium's, where a line was broken
_ODD = (  # what is no character
    "\x01\x03-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\ue000-\uf6bd\uf700-\uf720\uf800-\uf8e4"
)
_RARE = "ƀ-ƑƓ-ƟƢ-ƮƱ-ƿ"  # letters of hardly any language; in a Calibri without a map Ɵ is "ti"
_SIGNS = "¡¢¤¥¦¨ª¬®¯°±²³¶¸¹º¼½¾¿×÷†‡‰…Ō"  # not before a small letter inside a word
_LETTER = rf"[^\W\d_{_RARE}Ō]"
_CODE = rf"(?:[{_ODD}{_RARE}]|\r(?!\n|\Z)|(?<!\r)\n|(?<=[^\W\d_])[{_SIGNS}](?=[a-z]))"
_ONE_CODE = re.compile(_CODE)
_SUSPECT = re.compile(f"[{_ODD}{_RARE}{_SIGNS}]")
_PLAIN = bytes(c for c in range(128) if not _SUSPECT.match(chr(c)))
_PART = rf"(?:{_LETTER}|{_HYPHEN})*+"
_TOKEN = re.compile(rf"(?<!{_LETTER})(?<!{_HYPHEN}){_PART}(?:{_CODE}{_PART})+")
_SHORTEST_WORD = 4
_WORD = re.compile(f"{_LETTER}{{{_SHORTEST_WORD},}}")
_SMALL = bytes(ord(chr(c).lower()) if chr(c).isalpha() else 32 for c in range(128)) + bytes(128)

_MOST_TOKENS = 5_000  # that are looked at, the most frequent ones
_MOST_CODES = 2  # in one of them
_CLEAR, _SOME = 0.5, 0.1  # of the tokens with a code, so many become words
_LEAST, _FEW = (
    2,
    3,
)  # letters beside the codes: of a word that tells (but The), of one that tells alone
_RIVAL = 0.1  # of the votes: what has fewer is another word by accident
_TABLES = (  # TeX's old and its newer encoding of text
    {"\x0b": "ff", "\x0c": "fi", "\r": "fl", "\x0e": "ffi", "\x0f": "ffl"},
    {"\x1b": "ff", "\x1c": "fi", "\x1d": "fl", "\x1e": "ffi", "\x1f": "ffl"},
)
_DASHES = {"\x15": "–", "\x16": "—"}  # in the newer one
_DASH = re.compile(r"(?<=\w)[\x15\x16](?=\w)")

# For each ligature whole words, and behind the bar what words have in them.
_FREQUENT = {
    "fi": """fig fit fix fin fine find file fill five fire film firm first field fifth final files
        finds fixed fifty firma fino fila fijo fils fiche finir fiel
        | figur config definit define défini definí definier specifi spécifi especifi spezifi
        identifi modifi verifi vérifi certifi notifi classifi qualifi simplifi justifi magnifi
        signifi unifi clarifi ratifi amplifi finish finding filename filesys filter firewall
        firmware finger financ prefix suffix profil artifi benefi confirm confid infinit grafi
        gráfi grafisch fiction scientifi fichier fichero finden häufig empfind erfind
        superfici sacrifi fixer filos fixing filled fields firstly""",
    "ff": """off offs eff stuff staff cliff stiff offen effet effets griff stoff schiff
        | differ différ diffus affect effect offer effort afford buffer puffer offset affair
        effekt begriff eröff veröff öffn öffentl schaff treff betriff angriff zugriff eingriff
        traff suffer chauff souff cutoff tradeoff handoff payoff staffel effett soffer offre
        coffee""",
    "fl": """flow flag flat flip flux fly flown flows flags floor flush flash float flies flor
        flusso flut fluss
        | overflow workflow outflow dataflow inflow flowing flowch conflict konflikt confli
        influ einfluss reflect reflex réflé reflek flèch inflat deflat flexib floating flicht pflege
        pflanz auflös auflage fläch floppy flavor flavour fluctu fluid fluor fluent flight
        flusso""",
    "ffi": """office officer affine diffie
        | official officiel efficien effici suffici coeffici koeffizi difficult diffici suffix
        traffic affili affirm offices affich diffid effizien offizi affini graffi""",
    "ffl": """baffle shuffle waffle muffle truffle raffle
        | offline shuffl baffl waffl raffl muffl truffl affluen souffl""",
    "tt": """better letter little matter bottom button attach bitte dritte mitte matt cette tutti
        tutte dotted
        | better letter little matter bottom button attach attack written getting setting putting
        attempt attribut attend attent attitud pattern formatt submitt committ permitt transmitt
        emitt omitt splitt plott battery scatter schritt platt mettre mettent lettre tutto
        cutting hitting fitting netting knitt glitter setter getter""",
    "ft": """after left soft shift often lift gift draft craft drift oft luft kraft loft
        | after software shift often draft microsoft kraft schrift schaft aircraft geschäft
        beschäft craft swift nifty lefth""",
    "ti": """time times tick tier tiny title tied
        | ation action option functi direction section question tition tional titel
        motive active aktiv native relativ entity identit utility quantit ratio timeo timest
        ticket article particul static statis analyti optim ultim estim continu destin routin
        partiti""",
    "tti": "| setting getting putting cutting splitti formatti committi submitti fitting attitud",
    "Th": """the this that they then them there their these those than thus think thing things
        three third thread threads throw through
        | therefore themselv throughout thousand theorem theory""",
    "ct": """fact act
        | function object direct connect select struct product project charact contact
        expect effect affect collect protect respect section action active actual factor vector
        practic abstract exact""",
    "st": """first last must most just best test list post cost host past fast stop step still
        | system string state structur standard start store study instanc register request
        against cluster install""",
    "fft": "| schafft",
    "fj": "| fjord",
}
_COMMON = ("fi", "ff", "fl", "ffi", "ffl", "tt", "ft", "ti", "Th")  # where a word has two
_WHOLE = {word for words in _FREQUENT.values() for word in words.partition("|")[0].split()}
_PARTS = {part for words in _FREQUENT.values() for part in words.partition("|")[2].split()}
_INNER = {
    letters: tuple(sorted(part for part in _PARTS if letters.lower() in part))
    for letters in _FREQUENT
}


def decode_ligatures(texts: Sequence[str]) -> list[str]:
    """pdfium's texts of a book, with letters for the codes that plainly stand for them."""
    found = [_tokens(text) for text in texts]
    counts = Counter(token for tokens in found for token in tokens)
    if not counts:
        return list(texts)
    words = _words(
        _TOKEN.sub(" ", text) if of else text for text, of in zip(texts, found, strict=True)
    )
    looked_at = [token for token, _ in counts.most_common(_MOST_TOKENS)]
    readings = {token: _readings(token, words) for token in looked_at}
    decided = _decide(readings)
    if not decided:
        return list(texts)
    return [
        _decoded_text(text, readings, decided) if tokens else text
        for text, tokens in zip(texts, found, strict=True)
    ]


def _tokens(page: str) -> list[str]:
    """What stands in a row with a code: codes, and letters with them."""
    lines = page.count("\r\n")
    if page.count("\r") == page.count("\n") == lines and not _has_suspects(page):
        return []
    if not _ONE_CODE.search(page):
        return []
    return [token for token in _TOKEN.findall(page) if _letters(token)]


def _has_suspects(page: str) -> bool:
    if page.isascii():  # the same, in a tenth of the time
        return bool(page.encode().translate(None, _PLAIN))
    return bool(_SUSPECT.search(page))


def _letters(token: str) -> int:
    return sum(map(str.isalpha, _ONE_CODE.sub("", token)))


def _words(texts: Iterable[str]) -> frozenset[str]:
    """The words in the texts of a book, in small letters; its tokens with codes are out of them."""
    words: set[bytes] = set()
    others: set[str] = set()
    for text in texts:
        if text.isascii():  # the same, in a fifth of the time
            words.update(text.encode().translate(_SMALL).split())
        else:
            others.update(_WORD.findall(text))
    plain = (word.decode() for word in words if len(word) >= _SHORTEST_WORD)
    return frozenset(chain(plain, map(str.lower, others)))


Reading = tuple[str, ...]  # the letters for each code of a token


def _readings(token: str, words: Set[str]) -> frozenset[Reading]:
    """All ways of reading a token that make it a word."""
    parts = _parts(token)
    if len(parts) > _MOST_CODES + 1 or _is_capital(parts):
        return frozenset()
    ways = product(_FREQUENT if len(parts) == 2 else _COMMON, repeat=len(parts) - 1)
    return frozenset(way for way in ways if _is_word(parts, way, words))


def _parts(token: str) -> list[str]:
    return _ONE_CODE.split(re.sub(_HYPHEN, "", token))


def _is_capital(parts: Sequence[str]) -> bool:
    """Whether a capital stands beside a code, but for the one that a word begins with."""
    before = [parts[0] if len(parts[0]) > 1 else "", *parts[1:-1]]
    return any(part[-1:].isupper() for part in before) or any(
        part[:1].isupper() for part in parts[1:]
    )


def _is_word(parts: Sequence[str], letters: Reading, words: Set[str]) -> bool:
    word, places = parts[0], []
    for ligature, part in zip(letters, parts[1:], strict=True):
        if ligature == "Th" and word:
            return False
        places.append((len(word), ligature))
        word += ligature + part
    word = word.lower()
    return word in words or all(_is_frequent(word, *place) for place in places)


def _is_frequent(word: str, start: int, letters: str) -> bool:
    """Whether the ligature's letters at `start` are in a frequent word, or its frequent part."""
    if word in _WHOLE:
        return True
    end = start + len(letters)
    return any(
        word.find(part, max(0, end - len(part)), start + len(part)) >= 0 for part in _INNER[letters]
    )


def _decide(readings: Mapping[str, Set[Reading]]) -> dict[str, Reading]:
    """What each code stands for, as far as words tell, the usual first.

    Where fonts differ about it there are more, and "" is the first where none of them prevails.
    """
    votes: dict[str, dict[str, float]] = {}
    tokens: Counter[str] = Counter()
    for token, ways in readings.items():
        if _letters(token) < _LEAST and not ways <= {("Th",)}:
            continue
        weight = 1.0 if _letters(token) >= _FEW else 0.5
        for place, code in enumerate(_ONE_CODE.findall(token)):
            tokens[code] += 1
            said = {way[place] for way in ways}
            for letters in said:
                of_code = votes.setdefault(code, dict.fromkeys(_FREQUENT, 0.0))
                of_code[letters] += weight / len(said)
    decided = {
        code: _elected(count)
        for code, count in votes.items()
        if _is_plain(sum(count.values()), tokens[code], seen=code.isprintable())
    }
    return decided | _completed(decided, tokens)


def _completed(decided: Mapping[str, Reading], tokens: Container[str]) -> dict[str, Reading]:
    """What is left open of a table that all else agrees with."""
    letters: dict[str, Reading] = {}
    for table in _TABLES:
        first = {code: decided[code][0] for code in table if code in decided}
        if any(first.values()) and all(one in ("", table[code]) for code, one in first.items()):
            letters |= {
                code: (table[code], *decided.get(code, ()))
                for code in table
                if code in tokens and not first.get(code)
            }
    return letters


def _is_plain(words: float, tokens: int, *, seen: bool) -> bool:
    """Whether so many words are enough, of all tokens with a code, which may be a sign `seen`."""
    if words >= _CLEAR * tokens:
        return words >= (2 if seen else 1)
    return not seen and words >= 2 and words >= _SOME * tokens


def _elected(votes: Mapping[str, float]) -> Reading:
    rivals = [letters for letters in votes if votes[letters] >= _RIVAL * sum(votes.values())]
    first, *others = sorted(rivals, key=lambda letters: -votes[letters])
    contested = bool(others) and votes[first] < 2 * votes[others[0]]
    return ("", first, *others) if contested else (first, *others)


def _decoded_text(
    text: str, readings: Mapping[str, Set[Reading]], decided: Mapping[str, Reading]
) -> str:
    decoded = _TOKEN.sub(lambda token: _decoded(token[0], readings, decided), text)
    if any(decided.get(code, ("",))[0] == letters for code, letters in _TABLES[1].items()):
        decoded = _DASH.sub(lambda code: _DASHES[code[0]], decoded)
    return decoded


def _decoded(
    token: str, readings: Mapping[str, Set[Reading]], decided: Mapping[str, Reading]
) -> str:
    """The token as the word that it makes; where it makes none, as its codes are usually read."""
    codes = _ONE_CODE.findall(token)
    if not any(code in decided for code in codes):
        return token
    chosen = tuple(decided.get(code, ("",))[0] for code in codes)
    possible = set(product(*(decided.get(code, ("",)) for code in codes[:_MOST_CODES])))
    words = possible & readings.get(token, frozenset())
    if words and chosen not in words:
        chosen = max(words)
    elif not words and (_letters(token) < _FEW or _is_capital(_parts(token))):
        return token
    letters = iter(chosen)
    return _ONE_CODE.sub(lambda code: next(letters) or code[0], token)
