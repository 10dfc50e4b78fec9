"""Technical prose out of a number: long Korean and English books that are the same every time."""

import random
from collections.abc import Iterator
from itertools import accumulate
from typing import Literal

Language = Literal["ko", "en", "mixed"]


def _split(items: str) -> list[str]:
    return items.split("|")


_TERMS = _split(
    "transaction|index|thread|buffer|kernel|socket|compiler|cache|queue|scheduler|replica|"
    "segment|partition|checkpoint|snapshot|iterator|closure|coroutine|pipeline|gradient|"
    "tensor|pointer|allocator|register|interrupt|protocol|handshake|certificate|container|"
    "namespace|volume|callback|future|deadlock|semaphore|latency|throughput|backpressure|"
    "middleware|serializer"
)
_VERBS = _split("acquires|releases|rewrites|evicts|forwards|validates|merges|splits|replays|drops")
_WHEN = _split(
    "before the lock is taken|once the log is flushed|while a reader is active|"
    "unless the flag is set|after a restart|as soon as memory runs short"
)
_NOUNS = _split(
    "비동기 처리|트랜잭션|가비지 컬렉션|메모리 관리|운영체제|데이터베이스|정규화|"
    "동시성 제어|교착 상태|형태소 분석|색인 구조|분산 시스템|네트워크 계층|암호화 통신|"
    "인증서 갱신|컴파일러 최적화|함수형 언어|객체 지향 설계|의존성 주입|단위 시험|"
    "배포 자동화|로그 수집|성능 측정|캐시 무효화|벡터 검색|신경망 학습"
)
_PLURALS = [f"{term}s" for term in _TERMS]
_ACTIONS = _split(
    "처리한다|저장한다|다시 계산한다|미리 준비한다|차례로 검사한다|안전하게 되돌린다|"
    "여러 노드에 나눈다|한 번만 수행한다|뒤로 미룬다|즉시 알린다"
)
_REASONS = _split(
    "성능을 높이기 위해|오류를 막기 위해|메모리가 부족할 때|요청이 한꺼번에 몰리면|"
    "장애가 난 뒤에는|설정을 바꾸지 않으면|처음 시작할 때"
)
_CODE = (
    "CompletableFuture.thenCompose(r -> {x}.flush({n}))",
    "@Transactional(timeout = {n})\npublic void {x}() {{ repository.save({x}); }}",
    "def {x}_batch(items: list[int], limit: int = {n}) -> None:\n    return items[:limit]",
    "SELECT {x}_id, COUNT(*) FROM {x}_log GROUP BY {x}_id LIMIT {n};",
    "for (int i = 0; i < {n}; ++i) std::unique_ptr<{x}> p(new {x}(i));",
    "kubectl scale --replicas={n} deployment/{x}",
)


def probe(seed: int, page: int) -> str:
    """A word that stands on this page (from 0) of the book of this seed, and nowhere else."""
    return f"probe_{seed}_{page}"


def technical_pages(number: int, seed: int = 0, language: Language = "en") -> list[str]:
    """`number` pages of some 30 lines: prose, terms, code on every third page, and one probe.

    Each process that meets Hangul takes a second to load Kiwi: not for what is about other things.
    """
    return [_page(seed, index, language) for index in range(number)]


def technical_outline(
    number: int, language: Language = "en", every: int = 10
) -> list[tuple[int, str, int]]:
    """Chapters and sections as (level, title, page index), a chapter each `every` pages."""
    entries = []
    for chapter, first in enumerate(range(0, number, every), 1):
        title = f"Chapter {chapter}. Some {_PLURALS[chapter % len(_PLURALS)]}"
        if language != "en":
            title = f"{chapter}장. {_NOUNS[chapter % len(_NOUNS)]}"
        entries.append((0, title, first))
        if first + every // 2 < number:
            term = _TERMS[chapter % len(_TERMS)]
            entries.append((1, f"{chapter}.1. The {term}", first + every // 2))
    return entries


def _page(seed: int, index: int, language: Language) -> str:
    rng = random.Random(f"{seed}/{index}")
    name = probe(seed, index)
    nouns = _PLURALS if language == "en" else _NOUNS
    heading = f"{index + 1}. {rng.choice(nouns)} ({rng.choice(_TERMS)})"
    paragraphs = [heading, f"{rng.choice(nouns)} → {name}"]
    for place in range(8):
        korean = language == "ko" or (language == "mixed" and place % 2 == 0)
        paragraphs.append(" ".join(_korean(rng) if korean else _english(rng) for _ in range(4)))
    if index % 3 == 0:
        paragraphs.append(rng.choice(_CODE).format(x=rng.choice(_TERMS), n=rng.randrange(2, 900)))
    return "\n".join(line for text in paragraphs for line in wrap(text))


def _korean(rng: random.Random) -> str:
    term = rng.choice(_TERMS)
    return (
        f"{rng.choice(_NOUNS)}에서는 {rng.choice(_REASONS)} {term} 단위로 "
        f"{_object(rng.choice(_NOUNS))} {rng.choice(_ACTIONS)}."
    )


def _object(noun: str) -> str:
    closed = (ord(noun[-1]) - 0xAC00) % 28  # the last syllable ends in a consonant
    return noun + ("을" if closed else "를")


def _english(rng: random.Random) -> str:
    first, second = rng.sample(_TERMS, 2)
    return f"The {first} {rng.choice(_VERBS)} the {second} {rng.choice(_WHEN)}."


def wrap(text: str, width: int = 80) -> Iterator[str]:
    """Lines of at most `width` columns (Hangul takes two), broken as typesetters do.

    Korean breaks inside words, between any two syllables; English between words, or after a
    hyphen in a word of eight letters or more. A line that starts with a space stays whole.
    """
    for whole in text.split("\n"):
        line = whole
        while _columns(line) > width and not line.startswith(" "):
            end = _break(line, width)
            hyphen = "-" if line[end - 1].isascii() and line[end - 1 : end + 1].isalpha() else ""
            yield line[:end].rstrip() + hyphen
            line = line[end:].lstrip()
        yield line


def _columns(text: str) -> int:
    return sum(2 if "가" <= character <= "힣" else 1 for character in text)


def _break(line: str, width: int) -> int:
    columns = accumulate(map(_columns, line))
    end = next(i for i, taken in enumerate(columns) if taken >= width)
    if not line[end - 1 : end + 1].isascii():  # Hangul on one side
        return end - (line[end] in ".,)")
    start = line.rfind(" ", 0, end) + 1
    stop = line.find(" ", end)
    word = line[start : stop if stop > 0 else len(line)]
    if word.isalpha() and word.isascii() and len(word) >= 8 and 3 <= end - start <= len(word) - 3:
        return end
    return start if start > 1 else end
