"""Word lists of English, German and Russian for `words`, without accents."""

from typing import Final

_COMMON = """
a about am an and any are as at be been but by can could did do does doing for from had has have he her hers him his how i if in into is it
its just me my of on or our ours so some than that the their theirs them then there these they this those to too us was we were what when where
which who whom whose why will with would you your yours yes no not also very really s t re ve ll d m don didn doesn isn wasn aren
ich du er sie es wir ihr mich mir dich dir uns euch ihn ihm ihnen mein meine meinen meiner meinem dein deine deinen sein seine seinen ihre ihren
unser unsere der die das den dem des ein eine einen einem einer eines und oder aber nicht kein keine ist sind war waren bin bist hat habe haben
hatte hatten wird werden wurde in im am an auf aus bei mit nach von vom zu zum zur fur uber unter als wie was wer wen wem wo wann warum wieso
dass ob wenn denn doch noch schon auch nur so sehr man sich ja nein da dann hier dort
и в во не что он на я с со как а то все она так его но да ты к у же вы за бы по только ее мне было вот от меня еще нет о из ему теперь когда даже
ну ли если уже или ни быть был него до вас нибудь вам ведь там потом себя ничего ей может они тут где есть надо ней для мы тебя их чем была сам
чтоб без чего раз тоже себе под будет кто этот того потому этого какой ним здесь этом один мой моя мое мои тем чтобы нее были куда зачем всех
какая какие это эта эти при об про наш ваш твой твоя свой мной тебе
"""
_IRREGULAR = """
go went gone goes, buy bought, eat ate eaten, see saw seen, take took taken, make made, get got gotten, give gave given
come came, meet met, tell told, say said, think thought, find found, leave left, feel felt, keep kept, begin began begun, write wrote written
speak spoke spoken, drive drove driven, ride rode ridden, fly flew flown, swim swam swum, run ran, sing sang sung, drink drank drunk
break broke broken, choose chose chosen, fall fell fallen, grow grew grown, know knew known, throw threw thrown, wear wore worn
win won, lose lost, sell sold, send sent, spend spent, build built, teach taught, catch caught, bring brought, fight fought
sleep slept, stand stood, understand understood
hold held, hear heard, pay paid, sit sat, forget forgot forgotten, become became, child children, person people
man men, woman women, wife wives, life lives, foot feet
tooth teeth, mouse mice, gehen ging gegangen, kommen kam gekommen, sehen sah gesehen, essen ass gegessen, fahren fuhr gefahren, kaufen gekauft
sprechen sprach gesprochen, schreiben schrieb geschrieben, lesen las gelesen, finden fand gefunden, nehmen nahm genommen, geben gab gegeben
treffen traf getroffen, fliegen flog geflogen, ziehen zog gezogen, trinken trank getrunken, lernen gelernt, machen gemacht, arbeiten gearbeitet
spielen gespielt, wohnen gewohnt, bekommen bekam, heiraten geheiratet, verlieren verlor verloren, gewinnen gewann gewonnen, beginnen begann begonnen
идти шел шла шли пошел пошла пошли, ехать ехал ехала поехал поехала поехали, ребенок дети детей детям, человек люди людей
"""
_CYRILLIC = """
ьями ьям ьях ьев ья ье ью иями ями ами ией ей ой ий ый ая яя ое ее ые ие ого его ому ему ыми ими ых их ую юю ою ею ов ев ев ям ам ях ах ом ем ия ию ии
а я о е и ы у ю ь й ть ти ешь ишь ет ит ем им ете ите ют ут ят ат ал ала ало али ил ила или ыл ел ела ели ял яла яли уть ать ить еть ять
ался алась ались ился илась ились аться иться ется ится ются ятся ающий ающая вший шая ость остью ости
"""
COMMON: Final = frozenset(_COMMON.replace("й", "и").split())
"""What every text has: found by none."""
IRREGULAR: Final = {
    form: base
    for line in _IRREGULAR.replace("й", "и").replace("\n", ",").split(",")
    if line
    for base, *forms in [line.split()]
    for form in forms
}
"""By form, the word that it is a form of."""
LATIN_DERIVED: Final = ("ations", "ation", "ments", "ment", "ness", "ungen", "ions", "ung", "ion")
LATIN_ENDINGS: Final = ("ings", "ing", "edly", "ed", "ern", "erin", "ly", "er", "en", "em", "es", "e", "n", "s")
CYRILLIC_ENDINGS: Final = tuple(sorted({*_CYRILLIC.replace("й", "и").split()}, key=lambda ending: (-len(ending), ending)))
"""The longest first."""
