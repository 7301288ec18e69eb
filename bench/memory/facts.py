"""What the people of the generated conversations tell of themselves: each fact in several wordings, each question in words of its own."""

from typing import Final, NamedTuple


class Fact(NamedTuple):
    """`{x}` is the answer, `{who}` the person who tells it. `asked`: what the other one says before it, where it answers something; then `short`
    is the answer, which does not repeat the question's words."""

    told: tuple[str, ...]
    questions: tuple[str, ...]
    values: tuple[str, ...]
    asked: str = ""
    short: str = ""
    dated: str = ""
    """As something that happened at a time: "When did {who} …?"."""


CITIES: Final[tuple[str, ...]] = (
    "Lisbon",
    "Oslo",
    "Krakow",
    "Seville",
    "Toronto",
    "Porto",
    "Galway",
    "Ghent",
    "Naples",
    "Bergen",
    "Lyon",
    "Bristol",
)
NAMES: Final[tuple[str, ...]] = ("Marta", "Felix", "Priya", "Jonas", "Leila", "Oscar", "Ingrid", "Tomas", "Ruth", "Kenji", "Noor", "Pablo")
FACTS: Final[tuple[Fact, ...]] = (
    Fact(
        ("I finally signed the contract, I'll be a {x} from next month!", "They hired me! You're talking to a {x} now."),
        ("What does {who} do for a living?", "What is {who}'s profession?"),
        ("nurse", "carpenter", "translator", "baker", "geologist", "pharmacist", "tailor"),
        "So how did the interview go, what will you be doing?",
        "They took me! A {x}, can you believe it?",
        "When did {who} get hired?",
    ),
    Fact(
        ("We picked up a {x} at the shelter yesterday, she already sleeps on my bed.", "Meet the newest member of the family: a tiny {x}."),
        ("What kind of pet does {who} have?", "Which animal lives with {who}?"),
        ("greyhound", "tabby", "dachshund", "cockatiel", "beagle", "chinchilla"),
        "You sounded so excited on the phone. Who moved in with you?",
        "A {x}! She slept on my feet all night.",
        "When did {who} adopt an animal?",
    ),
    Fact(
        (
            "My doctor says I have to stay away from {x} for good, my face swells up.",
            "Turns out {x} makes my throat close up, so no more of that.",
        ),
        ("What is {who} allergic to?", "Which food must {who} avoid?"),
        ("shellfish", "walnuts", "celery", "sesame", "kiwi", "peanuts", "lupin"),
        "What did the test at the clinic show?",
        "It's {x}. One bite and my throat closes up.",
    ),
    Fact(
        ("I've been practising {x} every evening, my neighbours must hate me.", "Third {x} lesson today, my fingers are sore."),
        ("Which instrument is {who} learning?", "What does {who} play?"),
        ("the cello", "the banjo", "the accordion", "the clarinet", "the harp", "the mandolin"),
        "What's that noise I hear from your flat in the evenings?",
        "That would be me with {x}, sorry!",
    ),
    Fact(
        ("Just got back from {x}, my feet still hurt from all the walking.", "I'm writing this on the plane home from {x}, what a week."),
        ("Where did {who} travel?", "Which place did {who} visit on vacation?"),
        CITIES,
        "Where have you been? I tried to reach you all week!",
        "{x}! I walked so much that my feet still hurt.",
        "When was {who} in {x}?",
    ),
    Fact(
        ("{x} said yes! We're tying the knot next spring.", "I asked {x} on the pier, and there's a ring now."),
        ("Who is {who} going to marry?", "What is the name of {who}'s fiancé?"),
        NAMES,
        "You're glowing. What happened at the pier?",
        "I asked {x}. There is a ring now!",
        "When did {who} get engaged?",
    ),
    Fact(
        ("I grew up in {x}, so the cold never bothers me.", "My childhood was all {x}: harbour, gulls, rain."),
        ("Where does {who} come from originally?", "In which town was {who} raised?"),
        CITIES,
    ),
    Fact(
        ("I can't stand {x}, I freeze as soon as I see one.", "Don't laugh, but {x} make my heart race and I have to leave the room."),
        ("What is {who} afraid of?", "What does {who} have a phobia of?"),
        ("spiders", "moths", "clowns", "geese", "lifts", "balloons"),
    ),
    Fact(
        ("The boxes are all unpacked, {x} feels like home already.", "New keys in my hand: as of today my place is in {x}."),
        ("What part of town did {who} move to?", "Where is {who}'s new apartment?"),
        ("the old harbour", "Mill Lane", "the tailors' quarter", "Chestnut Square", "the north bank"),
        "Did the movers turn up, where are you now?",
        "They did. {x}, third floor, no lift.",
        "When did {who} move?",
    ),
    Fact(
        ("I crossed the finish line of the {x} in one piece!", "Medal around my neck: I did the whole {x}."),
        ("What race did {who} take part in?", "Which competition did {who} complete?"),
        ("half marathon", "river swim", "hill sprint", "charity relay", "ten kilometre run"),
        "And? Did you make it on Sunday?",
        "All of it, the whole {x}, medal and everything!",
        "When did {who} run a race?",
    ),
    Fact(
        ("My sister {x} is staying with me for a few days.", "{x} called, you know, my little sister. She's expecting!"),
        ("What is the name of {who}'s sibling?", "Who is {who}'s sister?"),
        NAMES,
    ),
    Fact(
        ("My alarm rings at {x} these days, the early shift is brutal.", "I'm up at {x} every day now."),
        ("When does {who} get up in the morning?", "What time does {who} wake?"),
        ("4:40", "5:15", "5:50", "4:25", "6:05"),
    ),
    Fact(
        ("If you ever cook for me, make {x}, I could eat it daily.", "Nothing beats {x}, I had two plates again."),
        ("What is {who}'s favorite meal?", "Which dish does {who} like best?"),
        ("pierogi", "moussaka", "ramen", "laksa", "borscht", "paella", "gnocchi"),
    ),
    Fact(
        ("I handed in my thesis on {x}, I'm free!", "Done studying: my last paper was about {x}."),
        ("What did {who} write about at university?", "What was the subject of {who}'s degree?"),
        ("glaciers", "medieval trade", "coral reefs", "bridge design", "sign language", "bat migration"),
        "What was it about in the end, that thing you kept typing?",
        "{x}, two hundred pages of it.",
        "When did {who} finish university?",
    ),
    Fact(
        ("On Saturdays I hand out soup at the {x}.", "I give the {x} my Saturdays now, they needed hands."),
        ("Where does {who} volunteer?", "Which charity does {who} help?"),
        ("night shelter", "food bank", "animal rescue", "refugee centre", "hospice"),
    ),
    Fact(
        ("I dropped my old one in the river, so now I have a {x}.", "Splurged and came home with a {x}."),
        ("What did {who} purchase?", "Which expensive thing did {who} buy?"),
        ("film camera", "gravel bike", "telescope", "sewing machine", "kayak", "typewriter"),
        "What's in that huge parcel in your hallway?",
        "My {x}! I've been saving for it since spring.",
        "When did {who} buy something expensive?",
    ),
    Fact(
        ("We owe the bank {x} less than last year, progress.", "After the raise I take home {x} a month."),
        ("How much does {who} earn?", "What is {who}'s salary?"),
        ("2,450 euros", "3,100 dollars", "1,980 pounds", "4,020 francs"),
    ),
    Fact(
        ("There are {x} tomato plants on my balcony now, I may have overdone it.", "I planted {x} tomatoes, come and help me eat them."),
        ("How many vegetables did {who} plant?", "What does {who} grow in the garden, and how many?"),
        ("eleven", "seventeen", "nine", "twenty-three"),
    ),
    Fact(
        ("I've been reading {x} under the blanket with a torch.", "Halfway through {x}, don't tell me the ending!"),
        ("Which novel is {who} reading?", "What book did {who} talk about?"),
        ("Middlemarch", "Dune", "Beloved", "Solaris", "Kim", "Persuasion"),
    ),
    Fact(
        ("I broke my {x} on the icy stairs, six weeks in plaster.", "Cast until spring: the {x} is done for."),
        ("What injury did {who} have?", "Which bone did {who} break?"),
        ("wrist", "ankle", "collarbone", "elbow", "little toe"),
        "Why are you typing so slowly, what happened on the stairs?",
        "Ice. The {x}. Six weeks in plaster.",
        "When did {who} have an accident?",
    ),
    Fact(
        ("My evening class in {x} starts with twenty new words a night.", "I can order dinner in {x} now!"),
        ("Which language is {who} studying?", "What language does {who} learn?"),
        ("Basque", "Finnish", "Korean", "Welsh", "Swahili", "Greek"),
    ),
    Fact(
        ("{x} has been my closest companion since kindergarten.", "I'd trust {x} with my life, we shared a desk at age six."),
        ("Who is {who}'s best friend?", "Which friend has {who} known the longest?"),
        NAMES,
    ),
)
FILLERS: Final[tuple[str, ...]] = (
    "Ha, that's so you!",
    "Wow, I didn't know that.",
    "I'm so happy for you!",
    "Oh no, that sounds rough.",
    "Tell me everything!",
    "Same here, honestly.",
    "The weather has been awful this week, rain all day.",
    "I barely slept, the neighbours had a party again.",
    "Did you see the sunset last night?",
    "I need another coffee before I can think.",
    "Work was endless today, meeting after meeting.",
    "My phone keeps dying, I should get a new one.",
    "How was your weekend?",
    "What are you up to tonight?",
    "I watched three episodes in a row, no regrets.",
    "We should go for a walk soon.",
    "The bus was late again.",
    "I made soup, far too much of it.",
    "Let's talk more tomorrow, I'm falling asleep.",
    "That reminds me of our school days.",
    "I keep meaning to call my mother.",
    "My back hurts from sitting.",
    "You always know what to say.",
    "I tried that new cafe on the corner, it's okay.",
    "Thanks for listening, it means a lot.",
    "I'm trying to spend less money this month.",
    "Do you still have my umbrella?",
    "I found a great song, sending it later.",
    "The train was full, I had to stand.",
    "I cleaned the whole flat, even the windows.",
    "Can you believe it's already this late in the year?",
    "Everyone at the office is ill.",
    "I love this time of the year.",
    "I went to the market and bought too many apples.",
    "My cousin is visiting next week.",
    "I want to learn something new this year.",
    "Have you eaten yet?",
    "I had the strangest dream about a train.",
    "We had dinner at that place by the river.",
    "I can't decide what to wear tomorrow.",
    "The book you gave me is on my table.",
    "I ran for the tram and missed it.",
    "Let me know when you get home.",
    "I've started going to bed earlier.",
    "The dog next door barks all night.",
    "I took a picture of a rainbow.",
    "Sunday was lazy, just me and the sofa.",
    "I should write more letters.",
    "My plants look sad.",
    "The film was longer than I thought.",
    "I bumped into an old teacher of ours.",
)
OPENERS: Final[tuple[str, ...]] = (
    "Hey {name}! How have you been?",
    "Hi {name}, long time!",
    "Good morning {name}, all well?",
    "{name}! Finally. What's new?",
)
