"""How each fact is said: several ways for every one, from which the same fact can be read again."""

import re

from duet_rl.captions.changes import BANDS, MORE, PAIRED, SWINGS, TURNS
from duet_rl.captions.facts import Fact, Kind
from duet_rl.captions.poses import POSES, SIDES, pairs

PLURAL = {
    **{part: f"{part}s" for part in ("arm", "elbow", "hand", "knee", "leg", "shoulder")},
    "foot": "feet",
}
# What a predicate says, `{s}` the side, `{o}` the other one, `{p}` the article or whose.
_SIDED: dict[tuple[Kind, str, str], str] = {
    ("state", "{s} arm", "raised"): "keeps {p} {s} arm raised|holds {p} {s} arm up"
    "|has {p} {s} arm up high|keeps {p} {s} hand raised",
    ("state", "{s} arm", "lowered"): "keeps {p} {s} arm lowered|holds {p} {s} arm down"
    "|keeps {p} {s} hand down|lets {p} {s} arm hang",
    ("state", "{s} arm", "bent"): "keeps {p} {s} arm bent|has {p} {s} elbow bent",
    ("state", "{s} arm", "straight"): "keeps {p} {s} arm straight|holds {p} {s} elbow straight"
    "|has {p} {s} arm stretched",
    ("state", "{s} arm", "out to the side"): "holds {p} {s} arm out to the side"
    "|keeps {p} {s} arm sideways|has {p} {s} arm stretched out to the side",
    ("state", "{s} hand", "above head"): "holds {p} {s} hand above the head"
    "|has {p} {s} hand over the head|keeps {p} {s} arm overhead",
    ("state", "{s} hand", "at shoulder height"): "holds {p} {s} hand at shoulder height"
    "|keeps {p} {s} hand level with the shoulder",
    ("state", "{s} hand", "in front"): "holds {p} {s} hand in front of the body"
    "|keeps {p} {s} hand before the chest|has {p} {s} arm in front",
    ("state", "{s} hand", "behind back"): "holds {p} {s} hand behind the back"
    "|has {p} {s} arm behind the back",
    ("state", "{s} hand", "on {s} shoulder"): "has {p} {s} hand on the {s} shoulder"
    "|keeps {p} {s} hand touching the {s} shoulder",
    ("state", "{s} hand", "on {o} shoulder"): "has {p} {s} hand on the {o} shoulder"
    "|keeps {p} {s} hand touching the {o} shoulder",
    ("state", "{s} hand", "near {s} knee"): "has {p} {s} hand near the {s} knee"
    "|keeps {p} {s} hand close to the {s} knee|holds {p} {s} hand on the {s} knee",
    ("state", "{s} hand", "near {o} knee"): "has {p} {s} hand near the {o} knee"
    "|keeps {p} {s} hand close to the {o} knee|holds {p} {s} hand on the {o} knee",
    ("state", "{s} hand", "near {s} foot"): "has {p} {s} hand near the {s} foot"
    "|keeps {p} {s} hand close to the {s} foot|holds {p} {s} hand on the {s} foot",
    ("state", "{s} knee", "bent"): "keeps {p} {s} knee bent|has {p} {s} leg bent",
    ("state", "{s} knee", "straight"): "keeps {p} {s} knee straight|has {p} {s} leg straight",
    ("state", "{s} knee", "lifted"): "keeps {p} {s} knee lifted|holds {p} {s} knee up"
    "|raises {p} {s} knee|has {p} {s} leg raised|holds {p} {s} leg up",
    ("state", "{s} knee", "on ground"): "kneels on {p} {s} knee|has {p} {s} knee on the ground",
    ("state", "{s} foot", "off ground"): "keeps {p} {s} foot off the ground"
    "|has {p} {s} foot in the air|keeps {p} {s} leg in the air",
    ("state", "{s} foot", "in front"): "has {p} {s} foot in front|keeps {p} {s} leg in front",
    ("state", "{s} foot", "behind"): "has {p} {s} foot behind|keeps {p} {s} leg behind",
    ("state", "{s} hand", "above {o} hand"): "holds {p} {s} hand above the {o} hand"
    "|keeps {p} {s} hand higher than the {o} hand",
    ("transition", "{s} arm", "raises"): "raises {p} {s} arm|lifts {p} {s} hand"
    "|brings {p} {s} arm up|moves {p} {s} hand up",
    ("transition", "{s} arm", "lowers"): "lowers {p} {s} arm|drops {p} {s} hand"
    "|brings {p} {s} arm down|moves {p} {s} hand down",
    ("transition", "{s} arm", "bends"): "bends {p} {s} arm|flexes {p} {s} elbow",
    ("transition", "{s} arm", "straightens"): "straightens {p} {s} arm|stretches {p} {s} arm"
    "|extends {p} {s} elbow",
    ("transition", "{s} knee", "bends"): "bends {p} {s} knee|bends {p} {s} leg",
    ("transition", "{s} knee", "straightens"): "straightens {p} {s} knee"
    "|straightens {p} {s} leg|stretches {p} {s} leg",
    ("transition", "{s} foot", "lifts"): "lifts {p} {s} foot|raises {p} {s} leg"
    "|lifts {p} {s} foot off the ground",
    ("transition", "{s} foot", "puts down"): "puts {p} {s} foot down|lowers {p} {s} leg"
    "|sets {p} {s} foot on the ground|lowers {p} {s} foot",
    ("couple", "{s} hand", "holds partner's {s} hand"): "holds the partner's {s} hand with {p} {s} "
    "hand|keeps {p} {s} hand in the partner's {s} hand",
    ("couple", "{s} hand", "holds partner's {o} hand"): "holds the partner's {o} hand with {p} {s} "
    "hand|keeps {p} {s} hand in the partner's {o} hand",
    ("couple", "dancer", "holds partner's {s} hand"): "holds the partner's {s} hand"
    "|takes the partner's {s} hand",
    ("couple", "{s} hand", "on partner's shoulders"): "has {p} {s} hand on the partner's shoulder"
    "|puts {p} {s} hand on the partner's shoulders",
    ("couple", "{s} hand", "on partner's waist"): "has {p} {s} hand on the partner's waist"
    "|keeps {p} {s} arm on the partner's waist",
    ("couple", "dancer", "has partner's {s} hand on shoulders"): "has the partner's {s} hand on "
    "the shoulder|feels the partner's {s} hand on both shoulders",
    ("couple", "dancer", "has partner's {s} hand on waist"): "has the partner's {s} hand on the "
    "waist|feels the partner's {s} hand on the waist",
    ("couple", "dancer", "has partner on the {s}"): "has the partner on the {s}"
    "|keeps the partner to the {s}",
    ("state", "trunk", "leaning {s}"): "leans to the {s}|keeps {p} trunk leaning {s}"
    "|leans {s} with the upper body",
    ("travel", "dancer", "steps {s}"): "steps to the {s}|moves to the {s}|walks {s}",
    ("turn", "dancer", "{s} quarter"): "turns a quarter to the {s}"
    "|makes a quarter turn to the {s}|turns {s} by a quarter",
    ("turn", "dancer", "{s} half"): "turns {s} half a turn|makes half a turn to the {s}",
    ("turn", "dancer", "{s} three quarters"): "turns three quarters to the {s}"
    "|makes a three quarter turn to the {s}",
    ("turn", "dancer", "{s} full"): "makes a full turn to the {s}|spins {s} a whole turn",
    ("turn", "dancer", f"{{s}} {MORE}"): "makes more than a full turn to the {s}"
    "|spins {s} by more than a whole turn",
    ("turn", "dancer", "{s}"): "turns {s}|spins to the {s}",
}
_WHOLE: dict[tuple[Kind, str, str], str] = {
    ("symmetric", "both knees", "on ground"): "kneels on both knees|has both knees on the ground"
    "|kneels|kneels down",
    ("symmetric", "both hands", "on shoulders"): "has both hands on the shoulders"
    "|keeps both hands touching the shoulders",
    ("symmetric", "both hands", "near knees"): "has both hands near the knees"
    "|keeps both hands close to the knees|holds both hands on the knees",
    ("symmetric", "both hands", "near feet"): "has both hands near the feet"
    "|keeps both hands close to the feet|holds both hands on the feet",
    ("state", "both hands", "together"): "keeps both hands together|holds {p} hands together"
    "|has both hands close together",
    ("state", "both hands", "far apart"): "keeps both hands far apart|holds {p} hands wide apart"
    "|has both arms wide apart",
    ("state", "both arms", "crossed"): "keeps {p} arms crossed|holds both arms crossed"
    "|has {p} hands crossed",
    ("state", "both feet", "together"): "keeps both feet together|stands with {p} feet together"
    "|has {p} legs together",
    ("state", "both feet", "wide apart"): "keeps {p} legs wide apart"
    "|stands with {p} feet wide apart|has both feet far apart",
    ("state", "both knees", "together"): "keeps both knees together|has {p} knees close together",
    ("state", "trunk", "leaning forward"): "leans forward|keeps {p} trunk leaning forward"
    "|leans forward with the upper body",
    ("state", "trunk", "leaning back"): "leans back|keeps {p} trunk leaning back"
    "|leans back with the upper body",
    ("state", "trunk", "upright"): "keeps {p} trunk upright|stands upright|stays upright",
    ("transition", "both hands", "brings apart"): "brings {p} hands apart|spreads {p} hands"
    "|moves both arms apart",
    ("transition", "both hands", "brings together"): "brings {p} hands together"
    "|moves both hands closer together|brings {p} hands closer",
    ("transition", "both feet", "brings apart"): "spreads {p} legs|moves {p} feet apart"
    "|spreads both feet",
    ("transition", "both feet", "brings together"): "brings {p} feet together|closes {p} legs"
    "|moves {p} legs together",
    ("transition", "dancer", "rises"): "rises|comes up|gets up",
    ("transition", "dancer", "crouches"): "crouches|squats down|goes down",
    ("transition", "trunk", "bends forward"): "bends forward|bows|bends {p} upper body forward",
    ("transition", "trunk", "straightens up"): "straightens up|straightens {p} upper body",
    ("travel", "dancer", "steps forward"): "steps forward|walks forward|moves forward",
    ("travel", "dancer", "steps back"): "steps back|walks backwards|moves back",
    ("travel", "dancer", "stays"): "stays in place|stays on the spot|remains in place",
    ("pace", "dancer", "still"): "stands still|hardly moves|stays still",
    ("pace", "dancer", "slow"): "moves slowly|dances slowly|is slow",
    ("pace", "dancer", "fast"): "moves fast|dances quickly|is fast",
    ("pace", "dancer", "steady"): "moves at a steady pace|dances steadily",
    ("couple", "dancer", "faces partner"): "faces the partner|looks at the partner",
    ("couple", "dancer", "turns back on partner"): "turns {p} back on the partner"
    "|has {p} back to the partner",
    ("couple", "dancer", "is behind partner"): "is behind the partner|stands behind the partner"
    "|stays behind the partner",
    ("couple", "dancer", "is close to partner"): "is close to the partner|stays near the partner",
    ("couple", "dancer", "is far from partner"): "is far from the partner"
    "|stays far away from the partner",
    ("couple", "dancer", "moves away"): "moves away from the partner|steps away from the partner",
    ("couple", "dancer", "moves closer"): "moves closer to the partner"
    "|steps closer to the partner|comes nearer to the partner",
}


def _all() -> dict[Fact, tuple[str, ...]]:
    said = {Fact(*key): tuple(ways.split("|")) for key, ways in _WHOLE.items()}
    for side, other in zip(SIDES, reversed(SIDES), strict=True):
        for (kind, subject, what), ways in _SIDED.items():
            named, shown = (text.format(s=side, o=other) for text in (subject, what))
            fact = Fact(kind, named, shown)
            said[fact] = tuple(way.format(s=side, o=other, p="{p}") for way in ways.split("|"))
    held: list[tuple[str, str, Kind]] = [(subject, what, "state") for subject, what, _ in pairs()]
    swung: list[tuple[str, str, Kind]] = [
        (both, what, "transition") for both in PAIRED.values() for what in _verbs(both)
    ]
    singles = {plural: part for part, plural in PLURAL.items()}
    for both, verb, of in held + swung:
        fact = Fact("symmetric", both, verb)
        if fact not in said:
            one = _SIDED[of, f"{{s}} {singles[both.split()[-1]]}", verb]
            said[fact] = tuple(_of_both(way) for way in one.split("|"))
    return said


def _verbs(both: str) -> list[str]:
    of_pair = [swing for swing in SWINGS if PAIRED.get(swing.subject) == both]
    return sorted({verb for swing in of_pair for verb in (swing.rises, swing.falls)})


def _of_both(way: str) -> str:
    """Return a way to say it of both sides: `{p} {s} arm` becomes `both arms`."""
    return re.sub(r"\{p\} \{s\} (\w+)", lambda found: f"both {PLURAL[found[1]]}", way)


SAYINGS: dict[Fact, tuple[str, ...]] = _all()


def sayable() -> set[Fact]:
    """Return every bare fact that `facts_of` can state."""
    turns = [name for _, name in TURNS] + [MORE]
    return {
        *(Fact("state", pose.subject, pose.what) for pose in POSES),
        *(Fact("symmetric", subject, what) for subject, what, _ in pairs()),
        *(Fact(s.kind, s.subject, what) for s in SWINGS for what in (s.rises, s.falls)),
        *(Fact("symmetric", both, what) for both in PAIRED.values() for what in _verbs(both)),
        *(Fact("turn", "dancer", f"{side} {amount}") for side in SIDES for amount in turns),
        *(Fact(band.kind, band.subject, band.what) for band in BANDS),
        Fact("pace", "dancer", "steady"),
    }
