"""The words that are understood: which of them mean the same, and which mean nothing by themselves.

A text becomes tokens. A part of the body is one token with its side and owner (`left:hand`,
`partner:left:hand`, `both:knee`); every other word that means something is the token of its
meaning, so that *raises*, *lifting* and *lift* are one.
"""

import difflib
import re
from functools import cache
from typing import NamedTuple

SIDES = ("left", "right")
BOTH, PARTNER, NOT = "both", "partner", "not"

# Meaning -> words, among them the meaning itself.
_MEANINGS: dict[str, str] = {
    "raise": "raise raises raising lift lifts lifting",
    "raised": "raised lifted",
    "lower": "lower lowers lowering drop drops dropping",
    "lowered": "lowered hanging hang hangs dropped",
    "up": "up upward upwards",
    "down": "down downward downwards",
    "bend": "bend bends bending flex flexes flexing",
    "bent": "bent flexed",
    "straighten": "straighten straightens straightening stretch stretches stretching extend "
    "extends extending",
    "straight": "straight stretched straightened extended",
    "sideways": "sideways",
    "above": "above over",
    "height": "shoulder-height",
    "front": "before in-front",
    "behind": "behind",
    "back-side": "back-side",
    "back-to": "back-to",
    "on": "on onto touch touches touching",
    "near": "near close nearby beside",
    "closer": "closer nearer",
    "far": "far",
    "away": "away",
    "wide": "wide widely wider",
    "together": "together",
    "apart": "apart",
    "crossed": "crossed cross crosses crossing",
    "spread": "spread spreads spreading open opens opening",
    "shut": "closes shut shuts closing",
    "move": "move moves moving moved bring brings bringing pull pulls pulling push pushes go goes "
    "going come comes coming dance dances dancing",
    "step": "step steps stepping stepped walk walks walking walked travel travels travelling",
    "stay": "stay stays staying remain remains remaining",
    "spot": "spot",
    "set": "set sets setting",
    "lean": "lean leans leaning leaned tilted tilt tilts tilting",
    "bow": "bow bows bowing",
    "upright": "upright",
    "forward": "forward forwards ahead",
    "backward": "back backward backwards",
    "rise": "rise rises rising",
    "crouch": "crouch crouches crouching squat squats squatting",
    "kneel": "kneel kneels kneeling",
    "turn": "turn turns turning turned spin spins spinning rotate rotates rotating",
    "quarter": "quarter quarters",
    "three": "three",
    "half": "half",
    "full": "full whole complete",
    "more": "more",
    "face": "face faces facing look looks looking",
    "still": "still motionless",
    "slowly": "slowly slow",
    "fast": "fast quickly quick rapidly",
    "steadily": "steadily steady",
    "head": "head",
    "ground": "ground floor",
    "off": "off",
    "trunk": "trunk torso",
    NOT: "not never no without nothing",
}
_PARTS: dict[str, tuple[str, str]] = {  # part -> one of them, and several
    "arm": ("arm", "arms"),
    "elbow": ("elbow", "elbows"),
    "hand": ("hand palm wrist", "hands palms wrists"),
    "shoulder": ("shoulder", "shoulders"),
    "leg": ("leg thigh", "legs thighs"),
    "knee": ("knee", "knees"),
    "foot": ("foot", "feet"),
    "waist": ("waist", ""),
}
_OWNER = "partner's"
_PARTNERS = ("partner", "him")
# Said, and mean nothing that could be checked.
_SILENT = (
    "the a an his her their its my your our own one he she they it them himself herself someone "
    "person somebody dancer dancers dancer's man woman figure this that who there is are be being "
    "been was of to in at by with for from around its body chest pace makes make making does do "
    "keep keeps keeping kept hold holds holding held has have having had let lets put puts "
    "putting place places placing take takes feel feels stand stands standing stood very also so "
    "again please get gets getting high level than out"
)
_DETERMINERS = frozenset("the a an his her their its my your our own".split())
# Words that mean one thing together -> words that mean it.
_PHRASES: dict[str, str] = {
    r"in front of": "in-front",
    r"in front": "in-front",
    r"out to the sides?|to the sides?|to (?:his|her|their|your) sides?": "sideways",
    r"(?:at|to|on) (?:the )?shoulder (?:height|level)|(?:level|even) with the shoulders?": (
        "shoulder-height"
    ),
    r"behind (?:the|his|her|their|your) back": "behind back-side",
    r"(?:the|his|her|their|your) back (?:to|on|towards?)": "back-to",
    r"in the air": "off the ground",
    r"overhead": "above the head",
    r"higher than": "above",
    r"upper body": "trunk",
    r"(?:does|do) not move|(?:does|do)n't move|hardly moves?": "still",
    r"(?:[a-z]+n't|cannot)": NOT,
    r"in place|on the spot": "spot",
    r"close to": "near",
    r"next to": "beside",
}
_PHRASE = re.compile(
    "|".join(rf"(?P<p{i}>\b(?:{pattern})\b)" for i, pattern in enumerate(_PHRASES))
)
_EVERY_PART = "|".join(word for forms in _PARTS.values() for f in forms for word in f.split())
_WHOSE = "(?:the |his |her |their |your )?"
_BOTH_SIDES = re.compile(
    rf"\b(?:left and {_WHOSE}right|right and {_WHOSE}left)(?= (?:{_EVERY_PART})\b)"
)
_WORD = re.compile(r"[a-z]+(?:-[a-z]+)*(?:'s)?|\d+(?:\.\d+)?")
_NEAR_WORDS, _ALIKE, _MISSPELT = 3, 0.66, 0.8

MEANING_OF = {word: meaning for meaning, words in _MEANINGS.items() for word in words.split()}
_PART_OF = {
    word: (part, several)
    for part, forms in _PARTS.items()
    for several, words in enumerate(forms)
    for word in words.split()
}
_MEANINGLESS = frozenset(_SILENT.split())


def plain_text(text: str) -> str:
    """Return a text in lower case, `left and right` before a part of the body as `both`."""
    return _BOTH_SIDES.sub(BOTH, text.lower().replace("\u2019", "'"))


class Token(NamedTuple):
    """One meaning, and the words that it was read from; without meaning, words left over."""

    meaning: str
    words: tuple[str, ...]
    is_part: bool = False


@cache
def vocabulary() -> frozenset[str]:
    """Return every single word that says something of a motion."""
    known = {*MEANING_OF, *_PART_OF, *SIDES, BOTH, _OWNER, *_PARTNERS}
    return frozenset(word for word in known if "-" not in word)


def tokens_of(text: str) -> list[Token]:
    """Return the tokens of a part of a sentence; words without meaning leave none."""
    plain = _PHRASE.sub(_replaced, plain_text(text))
    words = _WORD.findall(plain)
    found: list[Token] = []
    side: str | None = None
    owner = False
    for word in words:
        if side in SIDES and word in _DETERMINERS:
            found.append(Token(str(side), (str(side),)))  # turns left the way that he faces
            side = None
        if word in (*SIDES, BOTH):
            if side is not None:
                found.append(Token(side, (side,)))
            side = word
        elif word == _OWNER:
            owner = True
        elif word in _PART_OF:
            part, several = _PART_OF[word]
            found.append(_part(part, side or (BOTH if several else None), owner, word))
            side, owner = None, False
        elif word not in _MEANINGLESS:
            if side is not None:
                found.append(Token(side, (side,)))
                side = None
            meaning = PARTNER if word in _PARTNERS else MEANING_OF.get(word, "")
            found.append(Token(meaning, (word,)))
    if side is not None:
        found.append(Token(side, (side,)))
    return found


def near_words(word: str, misspelt: bool = False) -> list[str]:
    """Return known words that look like an unknown one; if wanted such as it must be a slip of."""
    if word in vocabulary():
        return []
    alike = _MISSPELT if misspelt else _ALIKE
    return difflib.get_close_matches(word, sorted(vocabulary()), _NEAR_WORDS, alike)


def _part(part: str, side: str | None, owner: bool, word: str) -> Token:
    words = tuple(w for w in (_OWNER if owner else None, side, word) if w)
    if owner and part in ("shoulder", "waist"):
        side = None  # a hand lies on the shoulders, whichever
    names = (PARTNER if owner else None, side, part)
    return Token(":".join(name for name in names if name), words, is_part=True)


def _replaced(match: re.Match[str]) -> str:
    replacements = tuple(_PHRASES.values())
    return next(
        replacements[i] for i in range(len(replacements)) if match.group(f"p{i}") is not None
    )
