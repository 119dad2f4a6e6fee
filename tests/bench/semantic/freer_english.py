"""English templates in freer wordings and with harder swaps, for development."""

from __future__ import annotations

from tests.bench.semantic.template import Template, slots

ENGLISH = (
    Template(
        "install",
        (
            "How do I install {0} on {1}?",
            "What are the steps for installing {0} on {1}?",
            "Could you guide me through installing {0} on {1}?",
            "I'm trying to install {0} on {1}. How do I do it?",
            "Instructions for installing {0} on {1}",
        ),
        slots("Python|Windows", "Python|Ubuntu", "Node|Ubuntu", "Steam|Linux", "Java 17|macOS", "Java 21|macOS"),
        (
            ("antonym", "How do I uninstall {0} on {1}?"),
            ("negation", "How do I use {0} on {1} without installing it?"),
            ("question", "Why should I install {0} on {1}?"),
            ("tense", "How did you install {0} on {1}?"),
            ("direction", "How do I install {1} on {0}?"),
        ),
    ),
    Template(
        "how-often",
        (
            "How often should I {0}?",
            "How frequently should one {0}?",
            "How often do I need to {0}?",
            "Can you tell me how often I should {0}?",
        ),
        slots("water a cactus", "change my oil", "change my filter", "wash my hair", "brush my dog", "brush my cat"),
        (
            ("negation", "How often should I not {0}?"),
            ("question", "When should I {0}?"),
            ("question", "Why should I {0}?"),
            ("number", "Should I {0} three times?"),
        ),
    ),
    Template(
        "best-time",
        (
            "When is the best time to {0}?",
            "What's the best time to {0}?",
            "When should I {0}?",
            "Can you tell me the best time to {0}?",
        ),
        slots("plant tomatoes", "prune roses", "buy a car", "sell a car"),
        (
            ("date", "Is May the best time to {0}?"),
            ("antonym", "When is the worst time to {0}?"),
            ("negation", "When should I not {0}?"),
            ("question", "Why should I {0}?"),
        ),
    ),
    Template(
        "legal",
        (
            "Is it legal to {0} in {1}?",
            "Is {2} legal in {1}?",
            "Can you tell me whether it is legal to {0} in {1}?",
            "In {1}, is it legal to {0}?",
            "I want to know if it's legal to {0} in {1}.",
        ),
        slots(
            "gamble|Texas|gambling",
            "gamble|Nevada|gambling",
            "fly a drone|Berlin|flying a drone",
            "fish|Sweden|fishing",
            "busk|London|busking",
        ),
        (
            ("antonym", "Is it illegal to {0} in {1}?"),
            ("negation", "Is it not legal to {0} in {1}?"),
            ("tense", "Was it legal to {0} in {1}?"),
            ("question", "Why is it legal to {0} in {1}?"),
        ),
    ),
    Template(
        "made-of",
        (
            "What is {0} made of?",
            "What does {0} consist of?",
            "What's {0} made out of?",
            "Tell me what {0} is made of.",
            "Can you say what {0} is made from?",
        ),
        slots("glass", "steel", "brass", "tofu", "concrete"),
        (
            ("question", "Who makes {0}?"),
            ("direction", "What is made of {0}?"),
            ("negation", "What is {0} not made of?"),
            ("tense", "What was {0} made of in 1800?"),
        ),
    ),
    Template(
        "function",
        (
            "Write a {0} function that {1}.",
            "Can you write a function in {0} that {1}?",
            "I need a {0} function that {1}.",
            "Give me a {0} function that {1}.",
            "Please create a function in {0} that {1}.",
        ),
        slots(
            "Python|reverses a string",
            "Python|reverses a list",
            "Java|reverses a string",
            "Go|counts vowels",
            "Go|counts consonants",
            "Rust|adds two numbers",
            "Rust|adds three numbers",
        ),
        (
            ("negation", "Write a {0} function that never {1}."),
            ("question", "Why would a {0} function {1}?"),
            ("number", "Write four {0} functions that {1}."),
        ),
        "antonym",
    ),
    Template(
        "clause",
        (
            "Who pays for {0} if {1} is damaged?",
            "If {1} is damaged, who pays for {0}?",
            "Tell me who pays for {0} if {1} is damaged.",
        ),
        slots("the roof|the pipe", "the pipe|the roof", "the car|the garage", "the garage|the car"),
        (
            ("negation", "Who pays for {0} if {1} is not damaged?"),
            ("direction", "Who is damaged if {1} pays for {0}?"),
            ("tense", "Who paid for {0} when {1} was damaged?"),
        ),
        "direction",
    ),
    Template(
        "send",
        (
            "What should {0} send {1}?",
            "Can you tell me what {0} should send {1}?",
            "I'd like to know what {0} should send {1}.",
        ),
        slots("a tenant|a landlord", "a landlord|a tenant", "a doctor|a patient", "a patient|a doctor"),
        (("negation", "What should {0} not send {1}?"), ("tense", "What did {0} send {1}?")),
        "direction",
    ),
    Template(
        "me",
        ("What should I tell my {0}?", "What can I tell my {0}?", "Can you suggest what I should tell my {0}?"),
        slots("boss", "employee", "teacher", "student"),
        (
            ("direction", "What should my {0} tell me?"),
            ("negation", "What should I not tell my {0}?"),
            ("tense", "What did I tell my {0}?"),
        ),
    ),
    Template(
        "idiom",
        (
            'What does the idiom "{0}" mean?',
            'What is the meaning of the idiom "{0}"?',
            'Explain the idiom "{0}".',
            'Can you explain what the idiom "{0}" means?',
            'What\'s meant by the idiom "{0}"?',
        ),
        slots("break a leg", "break the ice", "spill the beans", "under the weather", "over the moon"),
        (
            ("antonym", 'What is the opposite of the idiom "{0}"?'),
            ("question", 'Where does the idiom "{0}" come from?'),
            ("entity", 'Use the idiom "{0}" in a sentence.'),
        ),
    ),
    Template(
        "recommend",
        (
            "Can you recommend a good {0} for {1}?",
            "What's a good {0} for {1}?",
            "Which {0} would you recommend for {1}?",
            "I'm looking for a good {0} for {1}.",
            "What is the best {0} for {1}?",
        ),
        slots("book|beginners", "book|experts", "laptop|students", "camera|beginners", "board game|two players"),
        (
            ("antonym", "What is the worst {0} for {1}?"),
            ("negation", "What {0} is not good for {1}?"),
            ("comparative", "What is the cheapest {0} for {1}?"),
            ("question", "Where can I buy a good {0} for {1}?"),
        ),
    ),
    Template(
        "age-of",
        (
            "How old is {0}?",
            "What is the age of {0}?",
            "What's {0}'s age?",
            "Do you know how old {0} is?",
            "Tell me the age of {0}.",
        ),
        slots("the universe", "the Earth", "the Moon", "Stonehenge", "Notre-Dame"),
        (
            ("entity", "How big is {0}?"),
            ("tense", "How old was {0} in 1900?"),
            ("comparative", "Is {0} older than the Sun?"),
        ),
    ),
    Template(
        "trip-cost",
        (
            "How much does {0} cost in {1}?",
            "What is the price of {0} in {1}?",
            "In {1}, how much does {0} cost?",
            "What does {0} cost in {1}?",
            "How expensive is {0} in {1}?",
        ),
        slots("a beer|Oslo", "a beer|Prague", "a coffee|Oslo", "a taxi|Rome", "a haircut|Rome"),
        (
            ("comparative", "Is {0} cheaper in {1} than in Bern?"),
            ("tense", "How much did {0} cost in {1}?"),
            ("question", "Why does {0} cost so much in {1}?"),
            ("question", "Where do I get {0} in {1}?"),
        ),
    ),
    Template(
        "causes",
        (
            "What causes {0}?",
            "What are the causes of {0}?",
            "Why does {0} happen?",
            "What is the cause of {0}?",
            "What are the main reasons for {0}?",
        ),
        slots("inflation", "thunder", "lightning", "earthquakes", "acne"),
        (
            ("direction", "What does {0} cause?"),
            ("antonym", "What prevents {0}?"),
            ("question", "When does {0} happen?"),
            ("negation", "What does not cause {0}?"),
        ),
    ),
    Template(
        "side-effects",
        (
            "What are the side effects of {0}?",
            "What side effects does {0} have?",
            "Which side effects can {0} have?",
            "Does {0} have side effects, and which?",
            "List the side effects of {0}.",
        ),
        slots("aspirin", "caffeine", "statins", "penicillin", "codeine"),
        (
            ("antonym", "What are the benefits of {0}?"),
            ("negation", "Why does {0} have no side effects?"),
            ("number", "What are two side effects of {0}?"),
        ),
    ),
    Template(
        "most",
        (
            "Which {0} has the {1} {2}?",
            "What {0} has the {1} {2}?",
            "Tell me which {0} has the {1} {2}.",
            "Which is the {0} with the {1} {2}?",
        ),
        slots(
            "country|largest|population",
            "country|smallest|population",
            "country|largest|army",
            "planet|most|moons",
            "planet|fewest|moons",
            "animal|longest|neck",
            "animal|shortest|neck",
        ),
        (("negation", "Which {0} does not have the {1} {2}?"), ("tense", "Which {0} had the {1} {2}?")),
        "comparative",
    ),
    Template(
        "email-out",
        (
            "Write a short email to decline {0}.",
            "Can you write a short email declining {0}?",
            "Draft a short email to turn down {0}.",
            "I need a short email to decline {0}.",
            "Help me write a short email to decline {0}.",
        ),
        slots("a job offer", "an invitation", "a meeting", "a refund"),
        (
            ("antonym", "Write a short email to accept {0}."),
            ("antonym", "Write a long email to decline {0}."),
            ("number", "Write two short emails to decline {0}."),
        ),
    ),
)
