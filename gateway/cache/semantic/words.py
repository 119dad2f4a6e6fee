"""The words that the content gate knows: what may differ between two prompts that ask the same, and what is the same.

Everything that is not here counts: two prompts that differ in a word that no table names do not match. A missing entry
costs a hit, a wrong one gives a wrong answer, so a word is only added where any sentence may take its synonym.
"""

from __future__ import annotations

from typing import Final


def _words(written: str) -> list[str]:
    return written.split()


_YEAR = r"(?:in|during|on|at)? ?(?:what|which) (?:year|date|day)"

ENGLISH_PHRASES: Final[tuple[tuple[str, str], ...]] = (
    # Arithmetic in words.
    (r"(?<=\d) ?minus ?(?=\d)", " - "),
    (r"(?<=\d) ?plus ?(?=\d)", " + "),
    (r"(?<=\d) ?(?:times|multiplied by) ?(?=\d)", " * "),
    (r"(?<=\d) ?(?:divided by) ?(?=\d)", " / "),
    (r"(?<=\d) ?(?:percent|per cent)\b", "% "),
    # Politeness and frames around the question.
    (r"^(?:hi|hello|hey)(?: there)?[,.! ]+", " "),
    (r"\b(?:please|kindly|thanks(?: in advance)?|thank you|just|exactly|actually|basically|ever)\b", " "),
    (
        r"\b(?:could|can|would|will) you (?:say|agree)(?: that)?\b|\bis it true that\b|"
        r"\bdo you (?:think|believe|consider)(?: that)?\b|"
        r"\b(?:(?:can|could|would|will) you )?(?:tell me|let me know|do you know|know) (?:if|whether)\b",
        " qyes ",
    ),
    (r"\b(?:could|can|would|will) you\b", " "),
    (r"\bi (?:would like|want|need) you to\b|\bi need (?:some )?help (?:with|to)\b", " "),
    (r"\bi (?:would like|want|need|wish) to (?:know|find out|understand|learn about)(?: about| what)?\b", " qwhat "),
    (r"\b(?:i was|i am) (?:wondering|curious(?: about)?|trying to find out)\b|\bi wonder\b", " "),
    (r"\b(?:do you know|do you have any idea|any idea|help me(?: to)?|let me know|for me|to me)\b", " "),
    # Kinds of question.
    (r"\bhow do (?:you|i|we) say (.{1,80}?) in\b", r" translate \1 to "),
    (r"\bwhat is quotation in\b", " translate quotation to "),
    (
        r"\bhow many people (?:live|are living|are there) in\b|\bnumber of (?:people|inhabitants) (?:living )?in\b",
        " what is population of ",
    ),
    (r"\bhow many people there are in\b", " what is population of "),
    (r"\bwho (?:is|was) the (?:author|writer) of\b", " who wrote "),
    (r"\bwho (?:is|was) the inventor of\b", " who invented "),
    (r"\bwho (?:is|was) the (?:founder|creator) of\b", " who founded "),
    (
        r"\b(?:which|what) (?:author|writer|person|man|woman|scientist|inventor)\b|"
        r"\bwhat is the name of the person (?:who|that)\b",
        " who ",
    ),
    (
        r"\bwhat (?:is|was) the (?:definition|meaning) of\b|\bdefinition of\b|\bwhat is meant by\b|\bmeaning of\b",
        " qwhat ",
    ),
    (r"\bwhat (?:does|do) (.{1,60}?) (?:mean|stand for|do)\b", r" qwhat \1 "),
    (r"\bwhat (?:is|are|were|was) the (?:main |key )?differences? between\b|\bdifferences? between\b", " qdiff "),
    (r"\bhow (?:do|does|is|are) (.{1,60}?) (?:differ|different) from\b", r" qdiff \1 and "),
    (r"\bhow (?:do|does) (.{1,60}?) differ\b", r" qdiff \1 "),
    (
        r"\b(?:what is|is there|what would be) (?:a|an|the|any)? ?(?:best|good|right|proper)? ?way (?:to|of|for)\b",
        " qhow ",
    ),
    (r"\bwhat are (?:the|some)? ?(?:best |good )?(?:ways|steps|methods) (?:to|of|for)\b", " qhow "),
    (
        r"\b(?:show me|teach me|tell me|explain|explain to me|describe|know)?\s*how (?:to|do i|can i|should i|do you|"
        r"can you|can we|do we|does one|can one|could i|would i|would you|might i)\b",
        " qhow ",
    ),
    (r"\b(?:the )?best way to\b|\bsteps to\b|\bways to\b|\binstructions (?:for|to|on)\b", " qhow "),
    (
        r"\bwhat (?:is|are|was|were) (?:the|some) (?:main )?(?:reasons?|causes?)(?: why| that| for| of| behind)?\b",
        " qwhy ",
    ),
    (
        r"\bfor (?:what|which) reasons?\b|\bhow come\b|\b(?:the )?reasons? why\b|\bexplain why\b|\bwhy is it that\b",
        " qwhy ",
    ),
    (rf"\b{_YEAR}\b|\bwhat (?:is|was) the date of\b", " qwhen "),
    (r"\bat what time\b|\bwhat time\b", " qtime "),
    (r"\bin (?:what|which) (?:place|location)\b|\bwhat is the location of\b", " qwhere "),
    (r"\bwhere (?:is|are|was) (.{1,60}?) (?:located|situated|found)\b", r" qwhere \1 "),
    (r"\bwhat (?:is|are) (?:the )?(?:total )?number of\b|\bwhat number of\b|^\s*(?:the )?number of\b", " qmany "),
    (r"\bhow many\b", " qmany "),
    (
        r"\bhow much (?:does|do|did|is|are|will|would) (.{1,60}?) cost\b|\bwhat (?:does|do) (.{1,60}?) cost\b|"
        r"\bwhat is the (?:price|cost) of (.{1,60}?)(?=[?.!]|$)|\bhow much (.{1,60}?) costs\b",
        r" qcost \1\2\3\4 ",
    ),
    (r"\bhow much (?:is|are) (?=[\d.,]+)", " qwhat "),
    (r"\bhow much\b", " qmuch "),
    (r"\bhow (?:tall|high)\b|\bwhat is the height of\b", " qheight "),
    (
        r"\bhow long (?:does|do|will|would) it take\b|\bhow much time (?:does|do|will|would) it take\b|"
        r"\bhow long it takes\b",
        " qlong ",
    ),
    (r"^\s*(?:give me|make me|make|write)? ?(?:a|the)? ?list of\b|^\s*(?:list|name|enumerate|state)\b", " qwhat "),
    (r"\b(?:give|write|provide) (?:me )?(?:a|an) (?:short |brief )?(summary|overview) of\b", r" summarize "),
    (r"\bsum up\b", " summarize "),
    (
        r"\b(?:give|write|provide) (?:me )?(?:a|an) (?:\w+ )?translation of (.{1,80}?) (in|into|to) ",
        r" translate \1 to ",
    ),
    (r"\b(?:what|which) (\w+) (?:does|do) (.{1,60}?) (?:have|offer|bring)(?=[?.!]|$)", r" qwhat \1 of \2 "),
    (r"\b(?:what|which) (\w+) (?:is|are|was|were)\b", r" qwhat \1 "),
    (
        r"\b(?:tell me|explain|describe|know)?\s*what (.{1,60}?) (?:is|are|means|stands for|does|do)(?=[?.!]|$)",
        r" qwhat \1 ",
    ),
    (r"^\s*(?:calculate|compute|work out|evaluate|find)\b(?= *[-\d])", " qwhat "),
    (r"^\s*(?:i need|i want|suggest|provide|offer|share|recommend)(?: me)?\b", " qwhat "),
    (
        r"\bwhat (?:is|are|was|were)\b|\btell me(?: about| what)?\b|\bgive me an explanation of\b|\bdefine\b|"
        r"\bexplain(?: what)?\b|\bdescribe\b|\bgive me\b",
        " qwhat ",
    ),
    # Expressions of several words that are one.
    (
        r"\b(safe|possible|legal|illegal|good|bad|healthy|dangerous|easy|hard|ok|okay|necessary|important|better|best|able|"
        r"want|need|way|ways|like|going|try|used) to\b",
        r"\1 ",
    ),
    (r"\bget rid of\b", " remove "),
    (r"\bcapital city\b", " capital "),
    (r"\blose weight\b|\bslim down\b", " loseweight "),
    (r"\bas well as\b", " and "),
    (r"\bversus\b|\bvs\b\.?", " and "),
)
"""Patterns in lower case and what stands for them, applied in this order; contractions are written out before."""

ENGLISH_DROPPED: Final = frozenset(
    _words(
        "a an the of in on at for with about as is are am be been being was were do does did has have had will would "
        "i me my we us our you your it its this that these those there some any and which so then also very really 's "
        "s city"
    )
)
"""Words that carry no subject of their own. Tense, negation and direction are read before they go."""

DIRECTIONS: Final = {
    "from": "from", "to": "to", "into": "to", "onto": "to", "than": "than", "before": "before", "after": "after",
    "over": "over", "above": "over", "under": "under", "below": "under", "against": "against", "by": "by",
    "since": "since", "until": "until", "till": "until", "per": "per", "between": "between", "during": "during",
    "through": "through", "if": "if", "when": "when", "while": "while", "because": "because", "or": "or",
}  # fmt: skip
"""Words after which an order means something."""

INFINITIVES: Final = frozenset(
    _words(
        "learn make improve get do use cook write build create fix lose gain sleep remove clean start stop reduce "
        "increase find choose save read speak buy sell travel visit study cut prepare plan install run sort reverse "
        "open close change avoid prevent deal help keep take grow bake boil wash train teach play draw sing dance "
        "know see be have become handle manage calculate compute convert measure solve understand say ask work eat "
        "drink remember"
    )
)
"""Verbs before which `to` shows no direction."""

ENGLISH_NEGATORS: Final = frozenset(_words("not no never none neither nor without cannot except nobody nothing"))

ENGLISH_SYNONYMS: Final[tuple[str, ...]] = (
    "fast quick rapid quickly rapidly", "fix repair", "solve resolve", "make create", "buy purchase",
    "begin start commence", "improve enhance boost better", "reduce decrease lower", "increase raise",
    "benefit advantage pro upside", "drawback disadvantage con downside", "method technique approach",
    "car automobile", "child kid", "remove eliminate", "big large", "small little", "photo picture image",
    "movie film", "country nation", "summarize summarise condense recap", "write compose draft", "calculate compute",
    "tip advice suggestion recommendation", "prevent avoid", "choose select pick", "learn study", "use utilize utilise",
    "need require", "happen occur", "cheap inexpensive affordable", "expensive costly", "sick ill",
    "doctor physician", "answer reply respond", "speak talk", "easy simple", "hard difficult", "biggest largest",
    "smallest littlest", "list name", "wrote write written writing", "found founded", "went go gone", "bought buy",
    "won win", "built build", "began begin begun", "made make", "taught teach", "important significant",
    "company firm", "job occupation", "ocean sea", "whole entire", "maximum max", "minimum min", "essay composition",
    "string text", "array list", "instruct teach", "error exception", "smart intelligent clever", "rich wealthy",
    "located situated", "end finish", "ended finished", "cook prepare", "mistake error",
)  # fmt: skip
"""Words that stand for each other, the first for all; words are compared without their endings."""

MONTHS: Final = frozenset(
    _words("january february march april may june july august september october november december")
)
DAYS: Final = frozenset(
    _words(
        "monday tuesday wednesday thursday friday saturday sunday today yesterday tomorrow tonight week month year "
        "decade century weekend morning evening noon midnight hour minute second"
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
        "euro euros eur", "yen jpy", "yuan rmb cny", "percent percentage", "byte bytes", "kb kilobyte kilobytes",
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
} | {
    "thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "seventy": "70", "eighty": "80", "ninety": "90",
    "hundred": "e2", "thousand": "e3", "million": "e6", "billion": "e9", "half": "0.5", "first": "1.", "second": "2.",
    "third": "3.", "dozen": "12", "double": "x2", "twice": "x2", "triple": "x3",
}  # fmt: skip

CHINESE_PHRASES: Final[tuple[tuple[str, str], ...]] = (
    (r"^(?:你好|您好|嗨)[，,。！! ]*", ""),
    (r"百分之(\d+(?:\.\d+)?)", r"\1%"),
    (r"(?<=\d)-(?=\d)|减去|减掉", "减"),
    (r"你知道(.{1,60}?)吗", r"\1"),
    (r"^(?:请问)?(?:你|您)?(?:能不能|可不可以|能否|可否|可以|能)(?:请你?|麻烦你?)?"
     r"((?:帮我|给我|为我|替我|帮忙|告诉我|教我).{1,200}?)吗?(?=[？?]|$)",
     r"\1"),
    (r"(?:能不能|可不可以|可以|能否|可否|能)?(?:请你?|麻烦你?|劳驾)?(?:你|您)?(?:能不能|可不可以|可以|能否|可否)?"
     r"(?:告诉我|跟我说|给我讲|和我说|教我|帮我|帮忙|给我|为我|替我)(?:一下)?", ""),
    (r"我想(?:要)?(?:知道|了解|问)(?:一下)?|想问(?:一下)?|想请教(?:一下)?|请问(?:一下)?|请教(?:一下)?|"
     r"我需要|请提供|麻烦|请", ""),
    (r"谢谢|多谢|一下子?|到底|究竟|大概|大约|具体|应该怎么", ""),
    (r"以及|[与跟]", "和"),
    (r"(?:两者|二者|它们)?(?:之间)?的?(?:主要)?[有是]?(?:什么|哪些|何|啥)?的?"
     r"(?:区别|不同|差异|差别)(?:之处)?(?:是什么|在哪里|在哪|有哪些)?", "Ｄ"),
    (r"为什么|为何|为啥|是?(?:因为)?什么原因|的?原因(?:是什么|有哪些|何在)|怎么会", "Ｙ"),
    (r"[在于]?(?:什么时候|何时|哪一?年|什么时间|哪一?天|什么年份|几点)", "Ｔ"),
    (r"[有用](?:什么|哪些|啥)(?:好的?|好用的)?(?:方法|办法|方式|技巧)(?:可以|能|来)?|的(?:方法|办法|步骤)(?:是什么|有哪些)?|"
     r"怎么才能|怎样才能|如何才能|怎么样才能|应该怎么|应该如何|要怎么|该怎么|该如何|怎样|如何|怎么|咋", "Ｈ"),
    (r"的做法(?:是什么|是怎样的)?", "Ｈ做"),
    (r"[叫是]什么名字|是?(?:什么人|哪位|哪个人|谁)", "Ｗ"),
    (r"[把将]?(.{1,40}?)(?:换算|转换|转化|折算)[成为](.{1,20}?)(?=[？?。]|$)", r"\1Ｍ\2"),
    (r"(?:等于|有|共有|一共有|是|为)?多少(?:个|人口|人)?(?=人|个|$|[？?])|"
     r"(?:等于|共|一共|是|为|有)?(?:多少|几(?=[天个年月人？?]|$))", "Ｍ"),
    (r"^(?:计算|算|求)(?=\d)", "Ｍ"),
    (r"(?:需要|要)?花?(?:多久|多长时间|多少时间)", "Ｌ"),
    (r"都?(?:有|包括|包含)(?:哪些|哪几个|哪几种|什么)|列出|列举|举出", "Ｅ"),
    (r"(?:在|位于)(?:哪里|哪儿|哪个地方|什么地方|何处|哪)", "Ｐ"),
    (r"(?:指的)?是什么意思|什么意思|(?:代表|指)什么|的?(?:定义|含义|意思)(?:是什么)?|什么叫做?|什么是|何谓|"
     r"(?:指的)?是(?:什么|啥|哪里|哪个城市|哪座城市|哪个|哪)|"
     r"简?单?(?:解释|介绍|说明|讲解|讲讲|说说|谈谈|描述)|叫什么", "Ｑ"),
    (r"是否|是不是", "Ｂ"),
    (r"([能会要该])不\1", r"Ｂ\1"),
    (r"可不可以", "Ｂ能"),
    (r"有没有", "Ｂ"),
    (r"[吗嘛]", "Ｂ"),
    (r"对(.{1,30}?)进行", r"给\1"),
    (r"(?:使用|利用|采用|用)(?=[a-z])|(?<=[a-z+#])[里中](?!文)", ""),
    (r"(?<=写)一?[首篇个封段份]|(?<![\d零一二两三四五六七八九十百千万亿])一[个种些篇首份段封条则点]", ""),
    (r"[的了呢啊吧呀哦哈着]|(?<!不)是", ""),
)  # fmt: skip

CHINESE_SYNONYMS: Final[tuple[str, ...]] = (
    "做 制作 制做", "提高 提升 改善 改进 增强", "方法 办法 方式", "买 购买", "学 学习", "写 编写 撰写 写作 创作",
    "算 计算 求", "电脑 计算机", "优点 好处 优势", "缺点 坏处 劣势 弊端", "减肥 减重 瘦身", "建议 推荐", "位于 在",
    "总结 概括 归纳", "翻译成 译成 翻译为 翻成 译为", "用 使用 采用", "作用 功能 用途 功效", "防止 预防 避免",
    "孩子 儿童 小孩 小孩子", "医生 大夫", "快 快速 迅速", "简单 容易", "难 困难", "首都 首府",
    "创立 创办 创建", "发现 发觉", "最好 最佳", "国家 国", "比较 对比", "转换 换算 转化", "照片 相片",
    "清洗 清洁", "删除 去掉 移除 去除", "安装 装", "需要 需", "可以 能够 能", "人口数量 人口", "作者 写作者",
    "著名 有名", "自行车 单车 脚踏车", "土豆 马铃薯", "西红柿 番茄", "妈妈 母亲", "爸爸 父亲", "手机 移动电话",
)  # fmt: skip
