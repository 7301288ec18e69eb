"""Words that mean nearly the same or one kind of thing, by everyday subject: a question seldom uses the words of its answer."""

from functools import cache
from typing import Final

from assistant.store.words import number_of, words

WEIGHT: Final = 0.35
"""What a related word counts, against one of the question's own."""
_GROUPS: Final = """
job work career profession occupation employer company office colleague position role hire promotion
buy purchase get order pay shop store acquire
child kid son daughter baby toddler
parent mother father mom dad mum mama papa
sibling brother sister twin
spouse husband wife partner married marry wedding anniversary fiance engaged engagement
boyfriend girlfriend date relationship
grandmother grandma granny grandfather grandpa
pet dog cat puppy kitten hamster parrot rabbit animal
car vehicle drive truck van automobile
bike bicycle cycle ride cycling
trip travel vacation holiday journey visit tour getaway flight abroad
house home apartment flat live move address rent
city town place neighborhood
country nation abroad homeland
movie film cinema watch
book novel read author story series
music song band concert album listen singer gig festival
instrument guitar piano violin drum cello flute ukulele
sport soccer football tennis basketball swim run hike yoga gym climb workout exercise
race marathon run triathlon
hobby pastime interest enjoy passion spare leisure fun
food eat meal dish dinner lunch breakfast restaurant cook recipe cuisine favorite
bake cake bread pastry cookie
drink coffee tea wine beer beverage
doctor physician dentist hospital clinic appointment medical checkup surgery nurse
ill sick flu cold fever disease health condition diagnose
allergy allergic intolerant reaction
injury hurt broken sprain accident injure pain
school university college study degree course class student graduate exam major lesson
teacher professor instructor coach mentor tutor
language speak learn fluent
birthday born party age celebrate turn old
present gift give surprise
money price cost salary budget expensive pay dollar euro spend save
phone number call mobile contact
computer laptop pc machine notebook
email mail address letter
garden plant flower grow vegetable tree
paint painting draw art artist sketch picture
photo picture photograph camera image
volunteer charity donate shelter community help fundraiser
friend buddy pal
boss manager supervisor lead
afraid fear scared phobia worry nervous
like love enjoy prefer favorite adore fond
hate dislike stand avoid
plan intend want hope goal dream going
start begin launch open found
stop quit end finish give
meet encounter see
happy glad excited thrilled proud
sad upset down depressed
die death pass lost funeral
color colour red blue green yellow purple orange
sleep bed nap insomnia
weather rain snow sunny storm
train station rail bus subway airport plane
hotel stay hostel room cabin
beach sea ocean coast lake
mountain hill peak hike trail
password code pin login key
name call nickname named
award prize win competition contest trophy medal
lose lost missing misplace
repair fix broken
church religion faith pray
news article paper magazine
game play console chess board
clothes dress shirt jacket shoe wear coat
meeting appointment call conference schedule
deadline due date submit finish
arbeit job beruf stelle firma arbeitgeber kollege
kaufen besorgen bestellen bezahlen einkauf
kind sohn tochter baby
eltern mutter vater mama papa
geschwister bruder schwester
ehemann ehefrau mann frau partner hochzeit heiraten verlobt
haustier hund katze tier
auto wagen fahren fahrzeug
fahrrad rad radeln
reise urlaub ferien fliegen verreisen ausflug
wohnung haus wohnen umziehen umzug adresse miete
essen gericht speise restaurant kochen mahlzeit
arzt zahnarzt termin krankenhaus klinik praxis
krank grippe erkaltung fieber
allergie allergisch vertragen
schule uni studium studieren kurs lernen
geburtstag feier feiern alt geboren
geschenk schenken
instrument klavier gitarre geige spielen
sport fussball tennis laufen schwimmen
hobby freizeit gern lieblings
buch roman lesen
film kino serie
musik lied konzert band
geld preis kosten gehalt
freund kumpel freundin
работа профессия должность компания работать
купить покупка приобрести заказать
ребенок сын дочь дети
родители мать отец мама папа
брат сестра
муж жена свадьба женился замуж
питомец собака кошка кот щенок животное
машина автомобиль
велосипед велик
поездка путешествие отпуск поехать летать
квартира дом жить переехать адрес
еда блюдо есть ресторан готовить ужин
врач доктор больница стоматолог прием
болеть болезнь грипп простуда
аллергия аллергик
школа университет учиться курс
день рождения праздник
подарок подарить
инструмент гитара пианино скрипка играть
книга роман читать
фильм кино
仕事 職業 会社 勤務 働く 就職 転職
買う 購入 買った
子供 息子 娘 赤ちゃん
両親 母 父
兄弟 姉 妹 弟 兄
ペット 犬 猫
車 自動車 運転
旅行 出張 観光 休暇
家 住む 引っ越し 住所 マンション
食べ物 料理 食事 好物 夕食
医者 病院 歯医者 予約
病気 風邪 熱
アレルギー
学校 大学 勉強
誕生日
プレゼント 贈り物
楽器 ピアノ ギター バイオリン
趣味
本 小説 読書
映画
"""


@cache
def _related() -> dict[int, frozenset[int]]:
    """By term; made by the first search."""
    related: dict[int, set[int]] = {}
    for line in _GROUPS.strip().splitlines():
        terms = {number_of(word) for word in words(line)}
        for term in terms:
            related.setdefault(term, set()).update(terms)
    return {term: frozenset(others - {term}) for term, others in related.items()}


def related_to(term: int) -> frozenset[int]:
    """The terms that a question with this one may mean as well."""
    return _related().get(term, frozenset())
