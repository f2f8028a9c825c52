"""operation -> the wordings that English has for it, the common ones first.

Knowing which of some two hundred wordings means which operation is the knowledge that the embedded demo evolves: the
first few of each list are the schoolbook's, the ones the seedling was shown solved; the rest it has to find out by search.
`N` is where the number goes, `B` another person. Nothing here computes anything.
"""

from __future__ import annotations


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(" ".join(phrase.split()) for phrase in text.split(","))


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ADD = _phrases(
    """
    finds N, buys N, gets N, picks N, earns N, wins N, makes N, receives N, collects N, adds N, gathers N, borrows
    N, brings N, is given N, orders N, picks up N, inherits N, unpacks N, obtains N, acquires N, harvests N,
    fetches N, catches N, digs up N, is handed N, stocks up on N, scrapes up N, gleans N, nets N, pockets N,
    amasses N, procures N, secures N, rakes in N, unearths N, snaps up N
    """
)
SUB = _phrases(
    """
    loses N, sells N, gives away N, eats N, drops N, breaks N, uses N, donates N, spends N, lends N, throws out N,
    mails N, hands out N, ships N, discards N, wastes N, returns N, trades away N, misplaces N, burns N, parts with
    N, forfeits N, leaves behind N, crushes N, spills N, ruins N, hands over N, passes on N, surrenders N, scraps
    N, dumps N, is robbed of N, squanders N, mislays N, smashes N, sheds N
    """
)
MULTIPLY = _phrases(
    """
    cuts each into N, sells each for N coins, gets N coins for each, fills each with N beads, swaps each for N
    cards, pays N coins apiece, gets this on N days in all, makes N copies of each, needs N pins for each, slices
    each into N, repeats this N times in total, chops each into N, fetches N coins a piece, snaps each into N,
    barters each for N nuts, stuffs each with N beans
    """
)
DIVIDE = _phrases(
    """
    packs them in boxes of N, splits them into N equal parts and takes one, puts N in each bag, lines them up in
    rows of N, shares them among N friends equally, ties them in bundles of N, deals them into N piles, sets N on
    each tray, stacks them in towers of N, groups them by N, divides the pile by N, wraps them in packs of N, crams
    N into each jar, bundles them by N, spreads them over N shelves evenly, parcels them out to N heirs alike
    """
)
GROW = _phrases(
    """
    the pile grows by N percent, the pile rises by N percent, the pile increases by N percent, the pile gains N
    percent, the pile climbs by N percent, the pile swells by N percent, the pile expands by N percent, the pile
    surges by N percent, the pile jumps by N percent
    """
)
SHRINK = _phrases(
    """
    the pile falls by N percent, the pile shrinks by N percent, the pile decreases by N percent, the pile loses N
    percent, the pile dips by N percent, the pile dwindles by N percent, the pile slumps by N percent, the pile
    sinks by N percent, the pile plunges by N percent
    """
)
LOSE_PART = _phrases(
    """
    N of them rot, N of them break, N of them get lost, N of them vanish, N of them spoil, N of them wither, N of
    them crumble, N of them burst, N of them fade, N of them perish
    """
)
KEEP_PART = _phrases(
    """
    N of them stay, N of them are kept, N of them remain, N of them survive, N of them last, N of them endure, N of
    them hold, N of them are saved, N of them persist, N of them pass
    """
)
DOUBLE = _phrases(
    """
    the pile doubles, the pile is now twice as big, the pile grows twofold, the pile is duplicated
    """
)
TRIPLE = _phrases(
    """
    the pile triples, the pile is now three times as big, the pile grows threefold, the pile trebles
    """
)
HALVE = _phrases(
    """
    the pile is halved, half of it is gone, the pile is cut in half, the pile is bisected
    """
)
MORE_THAN = _phrases(
    """
    B has N more, B owns N extra, B is ahead by N, B leads by N, B beats that by N, B tops it by N, B exceeds it by
    N, B outdoes that by N
    """
)
LESS_THAN = _phrases(
    """
    B has N fewer, B owns N less, B is behind by N, B trails by N, B misses that by N, B lags it by N, B falls
    short by N, B undershoots that by N
    """
)
TIMES_AS_MANY = _phrases(
    """
    B has N times as many, B owns N times that, B holds N fold, B boasts N times over
    """
)
TOGETHER = _phrases(
    """
    they join all, they put all together, they pool them, they merge all, they combine all, they unite all
    """
)
#: Questions that ask for one more step: the distance to N.
REACH = _phrases(
    """
    How many more to reach N, How many are missing for N, How many more to have N, How many short of N, How many
    are lacking for N, How far from N, What gap is left to N
    """
)
#: Sentences that change nothing.
ASIDE = _phrases(
    """
    walks N miles, reads N pages, is N years old, waits N minutes, sings N songs, sleeps N hours, sees N birds,
    rides N stops, climbs N stairs, calls N friends, lives at house N, has N cousins, jogs N laps, hears N bells,
    runs N blocks, plays N games, writes N lines, swims N lengths
    """
)
#: What a story may tell of its answer, `D` being its last digit; every schoolbook has these.
ENDING = _phrases("the answer ends in D, the last digit is D, it ends with a D")
NOW = _phrases(
    """
    How many now, How many are there, How many is that, What is the count, How many in the end
    """
)
SHE = _names("Ann Cara Eva Gina Ida Kim Mia Ola Pam Sue Una Zoe")
HE = _names("Ben Dan Finn Hal Jon Leo Ned Quin Rob Tom Vic Wes")
THINGS = _names(
    """pears apples shells stamps marbles coins cards books pens plums eggs buttons roses nuts bricks cups kites stones
    ribbons tiles cookies candles ropes lemons"""
)
MEASURES = _names("liters pounds yards gallons")
KINDS = _names("red blue green old new small big white")
HOLDERS = _names("bags boxes jars rows packs trays")
