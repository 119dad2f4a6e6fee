"""English that the content gate knows: frames of questions, what may be left out, and what stands for the same.

Everything that is not here counts: two prompts that differ in a word that no table names do not match. A missing entry
costs a hit, a wrong one gives a wrong answer, so a word is only added where any sentence may take its synonym.
"""

from __future__ import annotations

from typing import Final


def _words(written: str) -> list[str]:
    return written.split()


def _rows(written: str) -> tuple[str, ...]:
    return tuple(row.strip() for row in written.split(";"))


_YOU = r"(?:i|we|you|one|someone|somebody|people|a person|anyone|they)"
_MIGHT = r"(?:do|does|can|could|should|would|might|must|shall)"
_GOOD = r"(?:best|good|right|proper|correct|ideal|optimal|recommended|suitable|perfect|great)"
_WAY = r"(?:ways?|methods?|steps?|procedures?|process(?:es)?|tricks?|techniques?|approach(?:es)?|instructions?|means)"
_TEXT = (
    r"(?:letter|email|e-mail|essay|poem|haiku|limerick|story|speech|message|article|post|tweet|paragraph|sentence|"
    r"slogan|caption|joke|song|dialogue|regex|quer(?:y|ies)|script|function|program)"
)

PHRASES: Final[tuple[tuple[str, str], ...]] = (
    # Arithmetic in words.
    (r"(?<=\d) ?minus ?(?=\d)", " - "),
    (r"(?<=\d) ?plus ?(?=\d)", " + "),
    (r"(?<=\d) ?(?:times|multiplied by) ?(?=\d)", " * "),
    (r"(?<=\d) ?(?:divided by) ?(?=\d)", " / "),
    (r"(?<=\d) ?(?:%|per cent\b)", " percent "),
    (r"\$ ?(\d[\d.,]*)", r"\1 dollar "),
    (r"€ ?(\d[\d.,]*)", r"\1 euro "),
    (r"£ ?(\d[\d.,]*)", r"\1 sterling "),
    (r"¥ ?(\d[\d.,]*)", r"\1 yen "),
    (r"\bhow many ([a-z]+) (?:are|is|make|makes|equal|are there in|are in) (-?\d[\d.,]* [a-z]+)", r" qwhat \2 to \1 "),
    (
        r"^\s*(?:please )?(?:convert|what is|how much is)? ?(-?\d[\d.,]* [a-z]+) (?:in|into|to) ([a-z]+)",
        r" qwhat \1 to \2 ",
    ),
    (r"(?<=\d)-(?=[a-z])", " "),
    (r"\bregular expressions?\b", "regex"),
    (r"\be-mail\b", "email"),
    (r"\bcapital city\b", "capital"),
    (r"\bcity of (?=[a-z])", " "),
    (r"\babout (?:me|myself|us)\b", "about oneself"),
    (r"\b(my|your|his|her|its|our|their) own\b|(?<='s) own\b", r"\1"),
    (r"\b(which|what) city (?=is\b|was\b)", r"\1 "),
    (r"\bsigns (?=of\b)", "symptoms "),
    (r"(?<!\bam )(?<!\bare )\blook(?:ing|s|ed)? for\b", "find"),
    (r"\btell (?=(?:if|whether|when)\b)", "check "),
    (r"\b(?:go|travel|take a trip|make a trip|a trip) to (?!bed|sleep|school|work|jail|the)", " visit "),
    (r"\b(?:lose weight|slim down)\b", "loseweight"),
    (r"\bas well as\b|&", " and "),
    (r"\bversus\b|\bvs\b\.?", " and "),
    (r"\bat the same time\b|\bsimultaneously\b", " together "),
    (r"\b(?:right now|at the moment|at present|nowadays|these days|presently|currently|present-day)\b", " current "),
    (
        r"(?<![\w'])((?:the )?(?:(?!what|which|is|are|was|the|tell|me|know)\w+ ){0,2}\w+)'s (height|weight|age|size|depth|width|speed|price|cost|location|lifespan|"
        r"author|founder|inventor|meaning|definition)\b",
        r"the \2 of \1",
    ),
    (r"\b(what|which) is what is\b", r"\1 is"),
    (r"\b(?:are|is) (?:there )?(?=in\b)", " "),
    (r"^help me (?:to )?(?=(?:fix|solve|repair|debug|resolve|understand)\b)", " qhow "),
    (r"\bis there a difference between\b", " what is the difference between "),
    # Politeness, and frames around the question.
    (r"^(?:hi|hello|hey|ok|okay|so|well)(?: there)?[,.! ]+", " "),
    (
        r"\b(?:please|kindly|pls|plz|thanks(?: in advance)?|thank you|just|exactly|actually|basically|ever|simply|quickly "
        r"tell me)\b",
        " ",
    ),
    (
        r"\b(?:could|can|would|will) you (?:say|agree)(?: that)?\b|\bis it (?:true|correct|a fact) that\b|"
        r"\bdo you (?:think|believe|consider)(?: that)?\b|"
        r"\b(?:(?:can|could|would|will) you )?(?:please )?(?:tell me|let me know|do you know|know|say) (?:if|whether)\b|"
        r"\bi (?:would like|want|need) to know (?:if|whether)\b|\b(?:i wonder|i am wondering|not sure) (?:if|whether)\b",
        " qyes ",
    ),
    (r"\b(?:could|can|would|will) you\b(?: be able to)?", " "),
    (r"\bi (?:would like|want|need) you to\b|\bi need (?:some |your )?help (?:with|to)\b", " "),
    (
        r"\bi (?:would like|want|need|wish|am trying) to (?:know|find out|understand|learn)\b(?: more)?(?: about)?",
        " qwhat ",
    ),
    (r"\b(?:i was|i am) (?:just )?(?:wondering|curious(?: about)?|trying to find out)\b|\bi wonder\b", " "),
    (
        r"\b(?:do you (?:happen to )?know|do you have any idea|any idea|does anyone know|help me(?: to)?|let me know|"
        r"for me|to me|i have a question about|quick question|question)\b:?",
        " ",
    ),
    (r"\b(?:i|we) (?:want|would like|need|am trying|are trying|wish|am looking|hope|plan) to (?=.{1,200}\bhow\b)", " "),
    # How something is done.
    (rf"\bhow {_MIGHT} {_YOU} (?:say|write) (?=.{{1,80}}? in (?!the\b))", " translate "),
    (
        rf"\b(?:what|which) (?:is|are|would be|was|were) (?:the |some |a |your )?(?:main |most common )?{_GOOD}? ?{_WAY} "
        r"(?:to|of|for|i can|you can)\b",
        " qhow ",
    ),
    (rf"\b(?:is|are) there (?:a|any|some|an) (?:{_GOOD} |easy )?{_WAY} (?:to|of|for)\b", " qhow "),
    (rf"\b(?:what|which) {_WAY} {_MIGHT} {_YOU} (?:take|follow|use|try) to\b", " qhow "),
    (
        rf"\bwhat (?:do|must|should|can) {_YOU} (?:need to |have to )?do (?:to|in order to|if i want to)\b|"
        r"\bwhat does it take to\b|\bwhat is (?:needed|required|necessary) to\b",
        " qhow ",
    ),
    (rf"\bwhat (?:can|should|could) {_YOU} do (?:about|against|for|with)\b", " qhow remedy "),
    (
        r"\b(?:what|which) is the (?:(\w+) )?(?:command|code|syntax|shortcut) (?:to|for) (.{1,80}?)(?=[?.!]|$)",
        r" qhow \2 in \1 ",
    ),
    (r"\b(what|which|where)\b(.{0,30}?) (?:can|could) (i|we)\b(?! (?:do|get to))", r"\1\2 should \3"),
    (r"^\s*is it possible to\b|^\s*(?:am i|are you|are we) able to\b", " can i "),
    (
        rf"\b(?:what|which) (\w+ )?(?:command|code|syntax) (?:{_MIGHT} {_YOU} (?:use|need|run)(?: to| for)|"
        r"will|lets? me)\b",
        r" qhow \1 ",
    ),
    (r"\b(?:walk|guide|talk|take|run|lead) me through (?:how to|the process of|the steps (?:of|to|for))?", " qhow "),
    (
        rf"\b(?:show me|teach me|tell me|explain|explain to me|describe|know|me)?\s*how (?:to|{_MIGHT} {_YOU}|{_YOU} "
        rf"(?:can|could|should|would|might|may))(?: go about| best| properly)?\b",
        " qhow ",
    ),
    (rf"\b(?:the |a )?{_GOOD} {_WAY} (?:to|of|for)\b|\b{_WAY} (?:to|for)\b", " qhow "),
    (r"\b(?:a )?(?:guide|tutorial|howto) (?:to|for|on|about)\b", " qhow "),
    (r"\bqhow (?:do|does) (?:that|this|it)\b|\bqhow (?:that|this|it)(?=[?.!]|$)|\bqhow do(?=[?.!]|$)", " qhow "),
    # Other kinds of question.
    (
        r"\bhow many (?:people|inhabitants|residents) (?:live|are living|are there|does|reside)(?: in)?\b|"
        r"\bnumber of (?:people|inhabitants) (?:living )?in\b|\bhow many people there are in\b",
        " what is population of ",
    ),
    (
        r"\bwho (?:is|was) the (?:author|writer) of\b|\bwho (?:is|was) (.{1,60}?) (?:written|authored) by\b|"
        r"^(.{1,60}?) (?:is|was) written by (?:whom|who)\b",
        r" who wrote \1\2 ",
    ),
    (
        r"\bwho (?:is|was) the inventor of\b|\bwho (?:is|was) credited with inventing\b|"
        r"\bwho came up with\b",
        " who invented ",
    ),
    (r"\bwho (?:is|was) the (?:founder|creator) of\b", " who founded "),
    (r"\bwho (?:is|was) the discoverer of\b", " who discovered "),
    (
        r"\b(?:which|what) (?:author|writer|person|man|woman|scientist|inventor)\b|"
        r"\bwhat is the name of the person (?:who|that)\b",
        " who ",
    ),
    (
        r"\bwhat (?:is|was) the (?:definition|meaning) of\b(?! life\b)|\bdefinition of\b|\bwhat is meant by\b|\bmeaning of\b(?! life\b)",
        " qwhat ",
    ),
    (r"\bwhat (?:is|was) (.{1,30}?) (?:short|an abbreviation|an acronym) (?:for|of)\b", r" qwhat \1 "),
    (r"\bwhat (?:does|do) (.{1,60}?) (?:mean|stand for)\b", r" qwhat \1 "),
    (
        r"\bwhat (?:does|do) (address|code|snippet|quotation|`[^`]*`|the (?:command|function) .{1,30}?) do\b",
        r" qwhat \1 ",
    ),
    (r"\b(?:what (?:is|are|were|was) )?(?:the )?(?:main |key |biggest )?differences? between\b", " qdiff "),
    (r"\bhow (?:do|does|is|are) (.{1,60}?) (?:differ|different|distinct) from\b", r" qdiff \1 and "),
    (r"\bhow (?:do|does) (.{1,60}?) differ\b|\bhow are (.{1,60}?) different\b|\bwhat distinguishes\b", r" qdiff \1\2 "),
    (
        r"\bwhat (?:is|are|was|were) (?:the|some) (?:main |most common )?(?:reasons?|causes?)(?: why| that| for| of| "
        r"behind)?\b|\bwhat (?:caused|led to|leads to|brought about|triggered|triggers|causes)\b|\bwhat is the (?:reason|cause) (?:of|for)\b|"
        r"\bwhat could be the (?:reason|cause)\b|\bwhat (?:makes|made|is making|causes|caused) (?=my|the|it)",
        " qwhy ",
    ),
    (
        r"\bfor (?:what|which) reasons?\b|\bhow come\b|\b(?:the )?reasons? (?:why|for|behind)\b|\bexplain why\b|"
        r"\bwhy is it that\b|\btell me why\b",
        " qwhy ",
    ),
    (r"\bwhy (?:does|do|did) (.{1,60}?) (?:happen|occur|exist)\b", r" qwhy \1 "),
    (
        r"\b(?:year of birth|date of birth|birth year|birth date|birthdate|birthday) of (.{1,40}?)(?=[?.!]|$)",
        r" qwhen was \1 born ",
    ),
    (
        r"\b(?:what|which|the)? ?(?:is )?(?:the )?(?:best|ideal|right|optimal) (?:time(?: of (?:the )?(?:year|day))?|season|"
        r"month|moment|period) (?:to|for|of)\b(?: a)?",
        " qwhen good ",
    ),
    (
        r"\b(?:what|which) (?:time of (?:the )?year|season|month) (?:is|are) (?:the )?best (?:to|for|in)\b|"
        r"\bwhat is qwhen good\b",
        " qwhen good ",
    ),
    (r"\bwhen (?:is|are|would be) qwhen good\b", " qwhen good "),
    (r"\b(?:during|in|at|on)? ?(?:what|which) (?:time of (?:the )?year|season|month)\b", " qwhen "),
    (r"\b(?:in|during|on|at)? ?(?:what|which) (?:year|date|day)\b|\bwhat (?:is|was) the (?:date|year) of\b", " qwhen "),
    (
        r"\bwhen was the (end|beginning|start|founding|birth|death|invention|discovery|fall) of (.{1,60}?)(?=[?.!]|$)",
        r" when did \2 \1 ",
    ),
    (r"\b(?:store|opening|business|working) hours\b", " hours "),
    (r"\b(?:what is the )?(?:time )(?:is it )?(?=in [a-z ]{2,30} (?:when|if)\b)", " qtime "),
    (r"\bat what time\b|\bwhat time is it\b|\bwhat is the time\b|\bwhat time\b", " qtime "),
    (r"\bin (?:what|which) (?:place|location)\b|\bwhat is the location of\b", " qwhere "),
    (r"\bwhere (?:is|are|was|can .{1,20}? be) (.{1,60}?) (?:located|situated|found)\b", r" qwhere \1 "),
    (r"\bwhere (.{1,60}?) (?:is|are) (?:located|situated)\b", r" qwhere \1 "),
    (r"\b(?:what (?:is|are) )?(?:the )?(?:total )?number of\b|\bwhat number of\b|\bhow many\b", " qmany "),
    (rf"\b(?:do|does) {_YOU} (?:need|have) to\b", " should i "),
    (r"\bqmany (\w+) (?:does|do) (.{1,60}?) have\b", r" qmany \1 in \2 "),
    (
        r"\bhow much (?:does|do|did|is|are|will|would) (.{1,60}?) cost\b|\bwhat (?:does|do) (.{1,60}?) cost\b|"
        r"\bwhat (?:is|are) the (?:price|cost)s? of (.{1,60}?)(?=[?.!]|$)|\bhow much (.{1,60}?) costs?\b|"
        r"\bhow much money (?:do|does|will) (?:i|you|one|it) (?:need|take) (?:for|to) (.{1,60}?)(?=[?.!]|$)",
        r" qcost \1\2\3\4\5 ",
    ),
    (r"\bhow (?:expensive|costly) (?:is|are)\b", " qcost "),
    (r"\bhow much (?:is|are) (?=[\d.,$]+)", " qwhat "),
    (
        rf"\bfor how long {_MIGHT} (?:i|we|you|one)\b|\bhow long {_MIGHT} {_YOU}\b|"
        r"\b(?:how long|how much time|how many hours|how many minutes) (?:does|do|will|would|did) (?:it|a|the) take\b|"
        r"\bhow (?:long|much time|many hours|many minutes) (?:(?:does|do|will|would) )?it takes?\b(?: to)?|"
        r"\bhow (?:much time|many hours) is needed\b",
        " qlong ",
    ),
    (
        r"\bhow (?:much time|many hours) (?:does|do|will|would) (.{1,60}?) take\b|\bhow long (?:does|do|will|would) "
        r"(.{1,60}?) take\b|\b(?:what is |tell me )?(?:the )?duration of\b",
        r" qlong \1\2 ",
    ),
    (r"\bhow much\b", " qmuch "),
    (r"\bhow (?:tall|high)\b|\b(?:what is |tell me )?(?:the )?height of\b", " qheight "),
    (
        r"\bhow heavy\b|\b(?:what is |tell me )?(?:the )?weight of\b|\bhow much (?:does|do) (.{1,40}?) weigh\b",
        r" qweight \1 ",
    ),
    (r"\bhow (?:far|far away)\b|\b(?:what is |tell me )?(?:the )?distance\b", " qfar "),
    (r"\bhow old\b|\b(?:what is |tell me )?the age of\b", " qage "),
    (r"\bhow (?:often|frequently)\b|\bhow many times (?:a|per) \w+\b", " qoften "),
    (r"\bhow (?:big|large)\b|\b(?:what is |tell me )?the size of\b", " qsize "),
    (r"\bhow deep\b|\b(?:what is |tell me )?the depth of\b", " qdepth "),
    (r"\bhow wide\b|\b(?:what is |tell me )?the width of\b", " qwidth "),
    (r"\bhow fast\b|\b(?:what is |tell me )?the (?:top |maximum )?speed of\b", " qspeed "),
    (
        r"\bhow (?:hot|warm)\b|\b(?:what is |tell me )?the temperature of\b|\b(?:at )?what temperature\b",
        " qtemperature ",
    ),
    (
        r"\b(?:what (?:is|are) )?(?:the )?(?:life expectancy|lifespan|life span) of (.{1,40}?)(?=[?.!]|$)",
        r" qlong \1 live ",
    ),
    (r"\bhow long (?=\w+ live)|\bhow long do (?=\w+ live)", " qlong "),
    # Which of two.
    (r"^(?=.*\bor\b)(?:which (?:one )?(?:is|are|would be)|what is|is it) (?:the )?(?:better|best)\b", " qchoice good "),
    (r"^(?=.*\bor\b)should (?:i|we|you) (?:choose|pick|use|go with|go for|take|buy|get|learn)\b", " qchoice good "),
    (r"^(?=.*\bor\b)(?:is|are) (.{1,80}?) (?:the )?(?:better|best)(?: choice| option| one)?\b", r" qchoice good \1 "),
    (
        r"\b(?:which|what)(?: one)? (?:is|are|would be) (?:the )?(?:better|best)(?: choice| option)?(?= for\b|[?.!]|$)",
        " qchoice good ",
    ),
    # Asking for a text, or for what there is.
    (r"\b(?:give|write|provide) (?:me )?(?:a|an) (?:short |brief )?(summary|overview) of\b", " summarize "),
    (r"\bsum up\b", " summarize "),
    (
        r"\b(?:give|write|provide) (?:me )?(?:a|an) (?:\w+ )?translation of (.{1,80}?) (in|into|to) ",
        r" translate \1 to ",
    ),
    (r"\btranslate (.{1,80}?) (?:into|in) ", r" translate \1 to "),
    (r"\bwhat is quotation in\b", " translate quotation to "),
    (
        rf"\b(?:create|generate|prepare|make|produce|give me|i need|i want|compose|draft|write|provide|come up with)(?: me)? "
        rf"(?:an?|the|some|(?=(?:two|three|four|five|ten|\d+)\b)) ?(?=(?:[\w-]+ ){{0,3}}{_TEXT}\b)",
        " write ",
    ),
    (rf"\bwhat (?=(?:\w+ )?{_TEXT} (?:matches|returns|gets|finds|gives|selects|does)\b)", " write "),
    (
        r"\b(?:regex|query) (?:that |which |to )?(?:matches|match|find|finds|finding|returns|return|gets|get|for|selects|select)"
        r"(?: me)?\b",
        " regexfor ",
    ),
    (r"^\s*(?:give me|make me|make|write)? ?(?:a|the)? ?list of\b|^\s*(?:list|name|enumerate|state)\b", " qwhat "),
    (r"\b(?:any|some) (?:ideas?|suggestions?|recommendations?) for\b", " qwhat good "),
    (r"\b(\w+) (?:ideas|suggestions|recommendations)\b", r" good \1 "),
    (r"\b(?:what|which) (\w+(?: \w+)?) (?:would|do|can|could) you (?:recommend|suggest)\b", r" qwhat good \1 "),
    (r"^\s*recommend(?: me)?\b", " qwhat good "),
    (r"\b(?:i am|we are) (?:looking|searching) for\b", " qwhat "),
    (
        r"\b(?:what|which) (\w+(?: \w+)?) (?:does|do|can) (.{1,60}?) (?:have|offer|bring|cause|show)(?=[?.!]|$)",
        r" qwhat \1 of \2 ",
    ),
    (r"\b(?:what|which) (\w+) (?:is|are|was|were)\b", r" qwhat \1 "),
    (
        r"\b(?:tell me|explain|describe|know)?\s*what (.{1,60}?) (?:is|are|means|stands for|does|do)(?=[?.!]|$| in\b)",
        r" qwhat \1 ",
    ),
    (r"^\s*(?:calculate|compute|work out|evaluate|find)\b", " qwhat "),
    (r"^\s*(?:i need|i want|suggest|provide|offer|share|recommend|give)(?: me)?\b", " qwhat "),
    (
        r"\bwhat (?:is|are|was|were)\b|\btell me(?: about| what)?\b|\bgive me an explanation of\b|\bdefine\b|"
        r"\bexplain(?: what)?\b|\bdescribe\b|\bgive me\b",
        " qwhat ",
    ),
    # Whether something may be done.
    (r"\bfor ((?:(?:a|an|the|my) )?\w+) to (?=\w)", r"\1 "),
    (r"\b(?:is|are|am) (.{0,40}?) ?\b(?:safe|okay|ok|fine|all right|alright|advisable) to\b", r" qyes okay \1 to "),
    (r"\b(?:is|are|am) (.{0,40}?) ?\b(?:safe|okay|ok|fine|all right|alright|advisable)\b", r" qyes okay \1 "),
    (r"\bcan (.{1,30}?) safely\b", r" qyes okay \1 "),
    (r"^\s*can (.{1,30}?) (?=(?:eat|drink|take|mix|combine|feed|swallow)\b)", r" qyes okay \1 "),
    (
        r"\b(?:am|are|is) (.{1,30}?) allowed to (?=(?:eat|drink|take|have|mix|combine|feed|swallow)\b)",
        r" qyes okay \1 ",
    ),
    (r"\bcan (.{1,60}?) be (?=(?:eaten|drunk|taken|mixed|combined|swallowed)\b)", r" qyes okay \1 "),
    (r"\bget rid of\b|\bget (?=.{1,40} out of\b)", " remove "),
    (
        r"\b(safe|possible|legal|illegal|good|bad|healthy|dangerous|easy|hard|ok|okay|necessary|important|better|best|able|"
        r"want|need|way|ways|like|going|try|used) to\b",
        r"\1 ",
    ),
)
"""Patterns in lower case and what stands for them, applied in this order; contractions are written out before."""

GOOD: Final = "good"
DROPPED: Final = frozenset(
    _words(
        "a an the is am are be been being was were do does did has have had having will would can could may might shall i "
        "we our us you your it its this that these those there some any so then also very really 's s one "
        "certain specific particular possible please together too"
    )
)
"""Words that carry no subject of their own. Tense, negation and direction are read before they go."""

KINDS: Final = frozenset(
    _words(
        "qwhat qdiff qhow qwhy qwhen qtime qwhere qwho qmany qmuch qcost qheight qlong qwhich qyes qweight qfar qage "
        "qoften qsize qdepth qwidth qspeed qtemperature qchoice"
    )
)

LINKS: Final = frozenset(
    _words("of for in on at with about using within via as my mine me regarding concerning between")
)
"""Weak prepositions: `the price of a ticket` is read as `ticket price`."""

DIRECTIONS: Final = {
    "from": "from", "to": "to", "into": "to", "onto": "to", "than": "than", "before": "before", "after": "after",
    "over": "over", "above": "over", "under": "under", "below": "under", "against": "against", "by": "by",
    "since": "since", "until": "until", "till": "until", "per": "per", "during": "during",
    "through": "through", "if": "if", "when": "if", "while": "while", "because": "because",
}  # fmt: skip
"""Words after which an order means something."""

VERBS: Final = frozenset(
    _words(
        "learn make improve get use cook write build create fix lose gain sleep remove clean start stop reduce increase "
        "find choose save read speak buy sell travel visit study cut prepare plan install run sort reverse open close "
        "change avoid prevent deal help keep take grow bake boil wash train teach play draw sing dance know see become "
        "handle manage calculate compute convert measure solve understand say ask work eat drink remember reset go come "
        "give send receive fly drive walk swim pay file renew cancel return treat cure delete rename merge undo move "
        "check test determine detect verify pronounce spell wear put add subtract divide multiply mix combine "
        "feed freeze fry roast grill steam peel chop prune repair replace connect disconnect update "
        "upgrade download upload print scan edit format parse loop iterate append split join concatenate compare match "
        "exclude include return throw catch raise handle debug compile deploy launch restart pause resume kill apply "
        "qualify register enrol enroll graduate hire fire quit resign retire invest borrow lend marry "
        "divorce adopt raise sue vote elect win beat defeat invade conquer attack defend explore discover invent found "
        "establish die live survive happen occur begin end finish continue drain charge overheat crash hang bark bite "
        "shed scratch itch hurt ache bleed swell vomit sneeze breathe relax meditate exercise stretch lift push "
        "pull throw kick follow ask answer reply call refuse reject accept allow forbid need want like love "
        "hate prefer enjoy fear worry believe think consider rewrite rephrase paraphrase translate summarize explain "
        "shorten extend expand loseweight weigh look sound smell taste feel seem appear bring hold carry unlock "
        "lock protect secure encrypt decrypt hash push revert rebase shuffle turn switch melt dissolve "
        "evaporate condense rise set shine rain snow sit stand lie lay fall break tear bend "
        "born decline accept confirm thank invite apologize complain negotiate remind congratulate introduce announce sign "
        "ship deliver book reserve schedule reschedule attend join gamble hunt camp damage owe own earn recommend"
    )
)
"""Words that are verbs more often than not: their place among the nouns means nothing."""

NEGATORS: Final = frozenset(_words("not no never none neither nor without cannot except nobody nothing"))

SYNONYMS: Final = _rows(
    "fast quick rapid quickly rapidly; fix repair mend resolve solve; make create; buy purchase; begin start "
    "commence; improve enhance boost better; reduce decrease lower; increase raise; benefit advantage upside; "
    "drawback disadvantage downside; method technique approach; car automobile; child kid; remove "
    "eliminate; big large huge; small little tiny; photo picture image; movie film; country nation; summarize "
    "summarise condense recap; write compose draft; calculate compute; tip advice suggestion recommendation; prevent "
    "avoid; choose select pick; learn study; use utilize utilise employ; need require; happen occur; cheap "
    "inexpensive affordable; expensive costly pricey; sick ill; doctor physician; answer reply respond; speak talk; "
    "easy simple; hard difficult; biggest largest; smallest littlest; found establish; company firm; job "
    "occupation; ocean sea; whole entire; maximum max; minimum min; essay composition; "
    "smart intelligent clever; rich wealthy; end finish conclude; cook prepare; mistake error; "
    "important significant; gift present; mother mom mum mama; father dad papa; grandmother grandma granny; "
    "grandfather grandpa; husband spouse; wife; trip journey; check test determine verify "
    "detect; if whether; alcohol booze; phone telephone; pc computer; tv television; fridge "
    "refrigerator; bike bicycle; photograph photo; apartment flat; autumn fall_season; "
    "attorney lawyer; shop store; medicine medication; stomach belly tummy; rewrite rephrase reword paraphrase; "
    "good best optimal recommended suitable excellent "
    "should appropriate; bad worst wrong improper poor terrible; remedy treatment treat; drain deplete "
    "discharge; consequence result outcome effect; reason cause; famous well-known renowned; old ancient; fat "
    "overweight; thin slim skinny; happy glad; sad unhappy; angry mad furious; scared afraid frightened; tired "
    "exhausted; beautiful pretty; ugly; shut close; road street; city town; salary wage pay_money; boss manager "
    "supervisor; coworker colleague; customer client; house home; sofa couch; trash garbage rubbish; sweets candy; "
    "current present_day; trait characteristic feature; border frontier; kind type "
    "sort_of; amount quantity; top highest; often frequently; rarely seldom; always constantly; mostly mainly; almost "
    "nearly; maybe perhaps; whole complete full; correctly properly; illness disease; injury wound; exam test_paper; "
    "essential vital crucial; purpose goal aim objective; stain spot mark_on; rug carpet; kid child; okay "
    "safe; construct build; instruct teach; allow permit let; forbid prohibit ban; rescue save_life; forecast "
    "predict; show display; hide conceal; delete erase; photocopy copy; wed marry; murder kill; folder "
    "directory; website site webpage; internet web; login signin; picture image; kilo "
    "kg; physician doctor"
)
"""Words that stand for each other, the first for all; words are compared without their endings."""

NOUNS_OF_VERBS: Final[dict[str, str]] = dict(
    pair.split(":")
    for pair in _words(
        "death:die birth:born marriage:marry arrival:arrive departure:depart removal:remove "
        "installation:install translation:translate pronunciation:pronounce explanation:explain "
        "creation:create invention:invent discovery:discover invasion:invade growth:grow loss:lose "
        "choice:choose payment:pay calculation:calculate conversion:convert solution:solve "
        "improvement:improve reduction:reduce prevention:prevent destruction:destroy construction:construct "
        "production:produce usage:use development:develop education:educate consumption:consume "
        "combination:combine comparison:compare definition:define description:describe replacement:replace "
        "registration:register application:apply cancellation:cancel renewal:renew collapse:fall "
        "downfall:fall separation:separate connection:connect election:elect execution:execute "
        "assassination:assassinate repetition:repeat selection:select deletion:delete addition:add "
        "subtraction:subtract division:divide multiplication:multiply cleaning:clean spelling:spell "
        "beginning:begin ending:end"
    )
)

IRREGULAR: Final = {
    form: verb
    for verb, *forms in map(
        str.split,
        _rows(
            "write wrote written; go went gone goes; buy bought; win won; build built; begin began begun; make made; "
            "teach taught; found founded founding; die died dying; come came; give gave given; take took taken; eat ate "
            "eaten; drink drank drunk; swim swam swum; fall fell fallen; lead led; grow grew grown; know knew known; see "
            "saw seen; get got gotten; become became; run ran; sell sold; tell told; say said; pay paid; keep kept; sleep "
            "slept; feel felt; leave left_behind; lose lost; send sent; spend spent; lend lent; bring brought; think "
            "thought_of; catch caught; fight fought; speak spoke spoken; break broke broken; choose chose chosen; freeze "
            "froze frozen; steal stole stolen; drive drove driven; rise rose_up risen; fly flew flown flying; draw drew "
            "drawn; sing sang sung; forget forgot forgotten; wear wore worn; feed fed; meet met; hold held; stand stood; "
            "understand understood; lie lying; child children; man men; woman women; foot feet; tooth teeth; mouse mice; "
            "person people; wife wives; life lives; knife knives; leaf leaves; end ended ending ends"
        ),
    )
    for form in forms
}

PRETERITES: Final = frozenset(
    _words(
        "did wrote went began gave took ate drank swam fell grew knew saw became spoke broke chose froze stole drove flew "
        "drew sang born"
    )
)
"""Forms that are past by themselves."""

PAST: Final = frozenset(
    _words(
        "bought won built made taught died came led ran sold told said paid kept slept lost sent spent lent brought "
        "caught fought fed met held stood understood left got"
    )
)
"""Forms that are past, or a participle after `is` and `have`."""

NOT_PAST: Final = frozenset(
    _words("need speed feed seed breed exceed proceed succeed indeed hundred embed required needed united")
)

MONTHS: Final = frozenset(
    _words("january february march april may june july august september october november december")
)
DAYS: Final = frozenset(
    _words(
        "monday tuesday wednesday thursday friday saturday sunday today yesterday tomorrow tonight week month year "
        "decade century weekend morning evening noon midnight hour minute second monthly yearly weekly daily hourly annual am "
        "pm"
    )
)

UNITS: Final = {
    unit: row.split()[0]
    for row in (
        "km kilometer kilometre kilometers kilometres", "m meter metre meters metres", "cm centimeter centimetre "
        "centimeters centimetres", "mm millimeter millimetre millimeters millimetres", "mile miles mi",
        "foot feet ft", "inch inches", "yard yards", "kg kilogram kilograms kilo kilos", "g gram grams",
        "lb lbs pound pounds", "oz ounce ounces", "ton tons", "l liter litre liters litres", "ml milliliter "
        "milliliters millilitre", "gallon gallons", "celsius centigrade", "fahrenheit", "kelvin", "dollar dollars usd",
        "euro euros eur", "yen jpy", "sterling gbp", "yuan rmb cny", "percent percentage", "byte bytes", "kb kilobyte kilobytes",
        "mb megabyte megabytes", "gb gigabyte gigabytes", "tb terabyte terabytes", "mph", "kph", "watt watts",
        "volt volts", "acre acres", "hectare hectares", "calorie calories", "degree degrees",
    )
    for unit in row.split()
}  # fmt: skip

NUMBER_WORDS: Final = {
    word: str(number)
    for number, word in enumerate(
        _words(
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
            "seventeen eighteen nineteen twenty"
        )
    )
    if word != "one"
} | {
    "thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "seventy": "70", "eighty": "80", "ninety": "90",
    "hundred": "e2", "thousand": "e3", "million": "e6", "billion": "e9", "half": "0.5", "first": "1.", "second": "2.",
    "third": "3.", "dozen": "12", "double": "x2", "twice": "x2", "triple": "x3",
}  # fmt: skip
