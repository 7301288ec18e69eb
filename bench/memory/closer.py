"""For each fact of `facts`, in the same order: questions nearer to what was told, and what is said around it."""

from typing import Final, NamedTuple


class Closer(NamedTuple):
    questions: tuple[str, ...]
    around: tuple[str, ...]
    """What the other one says next, then the teller, then the other one again."""


CLOSER: Final = (
    Closer(
        ("Which contract did {who} sign?", "As what was {who} hired?"),
        ("That's huge! Do you get a uniform?", "I do, and my own locker.", "You earned it, after all those interviews."),
    ),
    Closer(
        ("Which animal did {who} pick up at the shelter?", "Who sleeps on {who}'s bed?"),
        ("Does she chew on everything?", "Only on my slippers so far.", "I'm coming over to scratch her ears."),
    ),
    Closer(
        ("What makes {who}'s throat close?", "Why does {who}'s face swell?"),
        ("Do you carry one of those pens now?", "Always, in every bag I own.", "I'll read the labels when you come over."),
    ),
    Closer(
        ("What does {who} practise in the evenings?", "In which instrument did {who} take lessons?"),
        ("Can I hear you play some day?", "Give me a year or two first.", "I'll bring earplugs."),
    ),
    Closer(
        ("From which city did {who} fly home?", "Where did {who}'s feet get sore from walking?"),
        ("Did you try the local food?", "All of it, I gained two kilos.", "Show me the photos when we meet!"),
    ),
    Closer(
        ("Who said yes to {who}?", "Whom did {who} ask on the pier?"),
        ("Is there a date already?", "Sometime in spring, under the apple trees.", "I call dibs on the speech!"),
    ),
    Closer(
        ("Where did {who} grow up?", "What was {who}'s childhood home?"),
        ("Do you ever go back?", "Every summer, to see my aunt.", "You never lost the accent."),
    ),
    Closer(
        ("What can {who} not stand?", "What makes {who}'s heart race?"),
        ("Since when?", "Since a birthday when I was five.", "I promise to warn you."),
    ),
    Closer(
        ("Where do {who}'s new keys fit?", "Where did {who} unpack the boxes?"),
        ("Do you have curtains yet?", "Bed sheets on a string, very chic.", "I'll bring salt and bread."),
    ),
    Closer(
        ("Which finish line did {who} cross?", "What did {who} get a medal for?"),
        ("How are your legs?", "Which legs? I can't feel any.", "I would have died at the start."),
    ),
    Closer(
        ("Which sister of {who} is expecting?", "Who is staying with {who} for some days?"),
        ("Is she well?", "Tired and hungry, mostly for pickles.", "Give her a hug from me."),
    ),
    Closer(
        ("When does the alarm of {who} ring?", "How early is {who}'s shift?"),
        ("And when do you go to bed then?", "At nine, like a toddler.", "I would quit after two days."),
    ),
    Closer(
        ("What should one cook for {who}?", "What did {who} eat two plates of?"),
        ("My grandma has a recipe for that.", "Then I'm marrying into your family.", "She'll be delighted."),
    ),
    Closer(
        ("What was {who}'s thesis about?", "What did {who}'s last paper deal with?"),
        ("Who is going to grade it?", "The strictest professor of all.", "Drinks are on me."),
    ),
    Closer(
        ("Where does {who} hand out soup?", "Where does {who} spend the Saturdays?"),
        ("Do they still need people?", "Always, the queue gets longer.", "I might join you some time."),
    ),
    Closer(
        ("What did {who} splurge on?", "What replaced the thing that {who} dropped in the river?"),
        ("Was it worth it?", "Ask me when the bank statement comes.", "At least you'll use it."),
    ),
    Closer(
        ("What does {who} take home a month?", "How much less does {who} owe the bank?"),
        ("That's more than I make!", "It goes to the landlord anyway.", "Then lunch is on you."),
    ),
    Closer(
        ("How many tomatoes are on {who}'s balcony?", "Of what did {who} plant too many?"),
        ("What do you do with all that?", "Sauce. So much sauce.", "Save me a jar."),
    ),
    Closer(
        ("What has {who} been reading under the blanket?", "The ending of which story should {who} not be told?"),
        ("Is it any good?", "I missed my stop twice.", "I'll borrow it after you."),
    ),
    Closer(
        ("What did {who} break on the stairs?", "Why was {who} in plaster?"),
        ("Can I sign the cast?", "There is hardly any space left.", "I'll carry your groceries."),
    ),
    Closer(
        ("In what can {who} order dinner now?", "In which evening class is {who}?"),
        ("Say something!", "I only know how to ask for the bill.", "That's the important part."),
    ),
    Closer(
        ("Who has been {who}'s companion since kindergarten?", "With whom did {who} share a desk?"),
        ("The one with the red hair?", "That's the one, still as loud.", "You two were terrible in class."),
    ),
)
