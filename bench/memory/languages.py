"""Facts in German, Russian and Japanese, and small talk around them."""

from typing import Final

from bench.memory.facts import Fact

GERMAN: Final = (
    Fact(
        ("Gestern habe ich bei der Bäckerei unterschrieben, ab März bin ich {x}.", "Sie haben mich genommen, ich bin jetzt {x}!"),
        ("Was ist {who} von Beruf?", "Als was arbeitet {who}?", "Wo hat {who} unterschrieben?", "Was wird {who} ab März?"),
        ("Konditorin", "Tischler", "Lehrerin", "Gärtner"),
    ),
    Fact(
        ("Die Ärztin sagt, ich darf nie wieder {x} essen, mir schwillt der Hals zu.",),
        (
            "Wogegen ist {who} allergisch?",
            "Welche Lebensmittel verträgt {who} nicht?",
            "Was darf {who} nicht mehr essen?",
            "Wovon ist {who} der Hals geschwollen?",
        ),
        ("Haselnüsse", "Sellerie", "Krabben", "Erdbeeren"),
    ),
    Fact(
        ("Wir sind zurück aus {x}, meine Füße tun vom vielen Gehen weh.",),
        ("Wohin ist {who} verreist?", "Wo war {who} im Urlaub?", "Woher ist {who} zurückgekommen?", "Wo taten {who} die Füße weh?"),
        ("Lissabon", "Krakau", "Bergen", "Neapel"),
    ),
    Fact(
        ("Seit heute wohne ich {x}, die Kisten stehen noch im Flur.",),
        ("Wohin ist {who} gezogen?", "Wo ist die neue Wohnung von {who}?", "Wo hat {who} Kisten im Flur?", "Wo wohnte {who} danach?"),
        ("am Hafen", "in der Mühlgasse", "am Nordufer", "in der Altstadt"),
    ),
    Fact(
        ("Meine Schwester {x} hat gestern zwei Häuser besichtigt.",),
        ("Wie heißen die Geschwister von {who}?", "Wie heißt {who}s Schwester?", "Wer besichtigte ein Haus?"),
        ("Greta", "Almut", "Jule", "Sanne"),
    ),
    Fact(
        ("Ich übe jeden Abend {x}, die Nachbarn hassen mich.",),
        ("Welches Instrument lernt {who}?", "Was spielt {who}?", "Was übt {who} abends?", "Wofür hasst der Nachbar {who}?"),
        ("Cello", "Akkordeon", "Klarinette", "Harfe"),
    ),
    Fact(
        ("Aus dem Tierheim haben wir einen {x} mitgebracht, er schläft schon auf dem Sofa.",),
        (
            "Welches Haustier hat {who}?",
            "Welches Haustier hat {who}?",
            "Wen brachte {who} vom Tierheim mit?",
            "Welches Tier schlief auf dem Sofa?",
        ),
        ("Dackel", "Windhund", "Kater", "Papagei"),
    ),
    Fact(
        ("Der Zahnarzttermin ist am {x} um halb neun.",),
        ("Wann muss {who} zum Zahnarzt?", "Wann ist der Termin beim Zahnarzt?"),
        ("Dienstag", "Donnerstag", "Freitag", "Montag"),
    ),
)
RUSSIAN: Final = (
    Fact(
        ("Меня взяли! С понедельника я работаю в больнице: {x}.",),
        ("Кем работает {who}?", "Какая профессия у {who}?", "В какой больнице работала {who}?", "Когда {who} взяли на работу?"),
        ("медсестра", "фармацевт", "повар", "электрик"),
    ),
    Fact(
        ("Врач сказал, что мне больше нельзя {x}, горло отекает.",),
        ("На что у {who} аллергия?", "Что нельзя есть?", "От чего отекает горло у {who}?", "Что сказали врачи {who}?"),
        ("креветки", "орехи", "сельдерей", "клубнику"),
    ),
    Fact(
        ("Мы вернулись из {x}, ноги болят от прогулок.",),
        ("Куда ездила {who}?", "Где отдыхала {who}?", "Откуда {who} вернулась?", "После какой прогулки болела нога?"),
        ("Лиссабона", "Кракова", "Неаполя", "Бергена"),
    ),
    Fact(
        ("Моего брата зовут {x}, он приедет на неделю.",),
        ("Как зовут братьев {who}?", "Кто брат {who}?", "Кто приезжает к {who} на неделю?"),
        ("Глеб", "Матвей", "Ринат", "Савелий"),
    ),
    Fact(
        ("Каждый вечер играю на {x}, соседи меня ненавидят.",),
        ("На каком инструменте учится играть {who}?", "Что за музыка у {who} вечерами?", "За что {who} ненавидит сосед?"),
        ("виолончели", "аккордеоне", "кларнете", "арфе"),
    ),
    Fact(
        ("Вчера забрали из приюта {x}, она спит у меня на кровати.",),
        ("Какое животное живет у {who}?", "Какой питомец у {who}?", "Кого {who} забрала из приютов?"),
        ("таксу", "борзую", "кошку", "морскую свинку"),
    ),
    Fact(
        ("Сдала диплом про {x}, я свободна!",),
        ("О чем писала {who} в университете?", "Какая тема дипломов?"),
        ("ледники", "мосты", "кораллы", "летучих мышей"),
    ),
)
JAPANESE: Final = (
    Fact(
        ("来月から{x}として働くことになりました!",),
        ("{who}の仕事は何ですか?", "{who}の職業は?", "{who}は来月から何として働きますか?"),
        ("看護師", "大工", "翻訳者", "薬剤師"),
    ),
    Fact(
        ("お医者さんに{x}はもう食べてはいけないと言われました。喉が腫れるんです。",),
        ("{who}は何のアレルギーがありますか?", "{who}が食べられないものは?", "{who}は何を食べると喉が腫れますか?"),
        ("エビ", "くるみ", "セロリ", "キウイ"),
    ),
    Fact(
        ("昨日{x}から帰ってきました。たくさん歩いて足が痛いです。",),
        ("{who}はどこへ旅行しましたか?", "{who}はどこから帰ってきましたか?"),
        ("京都", "札幌", "リスボン", "金沢"),
    ),
    Fact(
        ("妹の{x}がしばらく家に泊まっています。",),
        ("{who}の妹の名前は?", "{who}の妹の名前は?", "誰が{who}の家に泊まっていますか?", "{who}の兄弟は誰ですか?"),
        ("美咲", "彩花", "千尋", "由紀"),
    ),
    Fact(
        ("毎晩{x}を練習しているので、近所の人に嫌われています。",),
        ("{who}はどの楽器を練習していますか?", "{who}が習っている楽器は?", "{who}が毎晩練習しているのは?"),
        ("チェロ", "アコーディオン", "クラリネット", "ハープ"),
    ),
    Fact(
        ("保護施設から{x}を引き取りました。もう布団で寝ています。",),
        ("{who}のペットは何ですか?", "{who}が引き取った動物は?"),
        ("柴犬", "三毛猫", "インコ", "うさぎ"),
    ),
    Fact(
        ("歯医者の予約は{x}の朝九時です。",),
        ("{who}の歯医者はいつですか?", "歯医者の予約は何曜日?"),
        ("火曜日", "木曜日", "金曜日", "月曜日"),
    ),
)
TALK: Final = {
    "de": (
        "Wie geht es dir?",
        "Das Wetter war die ganze Woche schlecht.",
        "Ich habe kaum geschlafen.",
        "Ach nein, das klingt anstrengend.",
        "Wir sollten bald spazieren gehen.",
        "Die Bahn war wieder voll.",
        "Ich koche heute Suppe.",
        "Das freut mich sehr für dich!",
        "Hast du den Sonnenuntergang gesehen?",
        "Morgen rufe ich meine Mutter an.",
        "Die Arbeit nahm heute kein Ende.",
        "Ich war auf dem Markt und habe zu viele Äpfel gekauft.",
    ),
    "ru": (
        "Как у тебя дела?",
        "Всю неделю идет дождь.",
        "Я почти не спала.",
        "Ого, не знала.",
        "Надо нам погулять.",
        "Автобус опять опоздал.",
        "Варю суп, приходи.",
        "Очень за тебя рада!",
        "Ты видела закат?",
        "Завтра позвоню маме.",
        "На работе сегодня не было конца.",
        "Купила на рынке слишком много яблок.",
    ),
    "ja": (
        "元気ですか?",
        "今週はずっと雨でしたね。",
        "昨夜はあまり眠れませんでした。",
        "それは大変でしたね。",
        "今度散歩に行きましょう。",
        "バスがまた遅れました。",
        "今日はスープを作ります。",
        "本当によかったですね!",
        "夕焼けを見ましたか?",
        "明日母に電話します。",
        "仕事が終わりませんでした。",
        "市場でりんごを買いすぎました。",
    ),
}
