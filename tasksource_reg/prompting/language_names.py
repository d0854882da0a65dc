"""English names of common BCP-47 tags, for templates that name a language.

`LANGUAGES[tag]` gives the name of the tag, else of its language without region and script, else the tag itself.
"""

from __future__ import annotations

_NAMES = """
ab Abkhazian|abq Abaza|ace Acehnese|af Afrikaans|aii Assyrian Neo-Aramaic|akk Akkadian|aln Gheg Albanian|am Amharic
an Aragonese|ang Old English|apc Levantine Arabic|apu Apurinã|aqz Akuntsu|ar Arabic|arc Aramaic|arh Arhuaco
arq Algerian Arabic|arr Karo|ary Moroccan Arabic|arz Egyptian Arabic|as Assamese|ast Asturian|axm Middle Armenian
ay Aymara|az Azerbaijani|azz Highland Puebla Nahuatl|ba Bashkir|ban Balinese|bar Bavarian|bbc Toba Batak|be Belarusian
bej Beja|bg Bulgarian|bho Bhojpuri|bjn Banjarese|bm Bambara|bn Bengali|bo Tibetan|bor Bororo|br Breton|brh Brahui
bs Bosnian|bug Buginese|bxr Buryat|bzd Bribri|ca Catalan|cbk Chavacano|cdo Eastern Min|ce Chechen|ceb Cebuano
ckb Central Kurdish|ckt Chukchi|cni Asháninka|co Corsican|cop Coptic|cpg Cappadocian Greek|crh Crimean Tatar|cs Czech
csb Kashubian|ctn Chhathare Limbu|cu Church Slavic|cv Chuvash|cy Welsh|da Danish|de German|diq Zazaki|dv Dhivehi
ee Ewe|egl Emilian|egy Ancient Egyptian|el Greek|eme Teko|en English|eo Esperanto|es Spanish|ess Siberian Yupik
et Estonian|eu Basque|ext Extremaduran|fa Persian|ff Fulah|fi Finnish|fil Filipino|fo Faroese|fr French
frm Middle French|fro Old French|frr Northern Frisian|fur Friulian|fy Western Frisian|ga Irish|gan Gan Chinese
gd Scottish Gaelic|gl Galician|gn Guarani|gor Gorontalo|got Gothic|grc Ancient Greek|gsw Swiss German|gu Gujarati
gub Guajajára|gun Mbyá Guarani|gv Manx|gwi Gwichʼin|gya Northwest Gbaya|ha Hausa|hak Hakka Chinese|haw Hawaiian
hbo Ancient Hebrew|hch Wixárika|he Hebrew|hi Hindi|hit Hittite|hr Croatian|hsb Upper Sorbian|ht Haitian Creole
hu Hungarian|hy Armenian|hyw Western Armenian|ia Interlingua|id Indonesian|ig Igbo|ilo Iloko|io Ido|is Icelandic
it Italian|ja Japanese|jaa Jamamadí|jbo Lojban|jv Javanese|ka Georgian|kbc Kadiwéu|kk Kazakh|km Khmer
kmr Northern Kurdish|kn Kannada|ko Korean|koi Komi-Permyak|kpv Komi-Zyrian|krl Karelian|ksh Colognian|ku Kurdish
ky Kyrgyz|la Latin|lb Luxembourgish|lg Ganda|li Limburgish|lij Ligurian|lmo Lombard|ln Lingala|lo Lao|lt Lithuanian
ltg Latgalian|luo Luo|lv Latvian|lzh Classical Chinese|mad Madurese|mdf Moksha|mg Malagasy|mhr Meadow Mari|mi Maori
min Minangkabau|mk Macedonian|ml Malayalam|mn Mongolian|mpu Makuráp|mr Marathi|ms Malay|mt Maltese|mwl Mirandese
my Burmese|myu Mundurukú|myv Erzya|mzn Mazanderani|nah Nahuatl|nan Southern Min|nap Neapolitan|naq Khoekhoe
nb Norwegian Bokmål|nds Low German|ne Nepali|nhi Western Sierra Puebla Nahuatl|nij Ngaju|nl Dutch|nmf Tangkhul Naga
nn Norwegian Nynorsk|no Norwegian|nov Novial|nso Northern Sotho|ny Nyanja|oc Occitan|oge Old Georgian
olo Livvi-Karelian|om Oromo|or Odia|orv Old East Slavic|os Ossetian|ota Ottoman Turkish|otk Old Turkic|oto Otomi
pa Punjabi|pad Paumarí|pay Pech|pcm Nigerian Pidgin|pdc Pennsylvania German|pl Polish|pms Piedmontese
pnb Western Punjabi|pro Old Occitan|ps Pashto|pt Portuguese|qaf Maghrebi Arabic mixed with French
qfn Frisian mixed with Dutch|qpm Pomak|qtd Turkish mixed with German|qte Telugu mixed with English
qti Turkish mixed with English|qu Quechua|quc Kʼicheʼ|quy Ayacucho Quechua|rm Romansh|rn Rundi|ro Romanian|ru Russian
ruc Ruuli|rw Kinyarwanda|sa Sanskrit|sab Buglere|sah Yakut|say Zaar|sc Sardinian|scn Sicilian|sco Scots|sd Sindhi
sdh Southern Kurdish|se Northern Sami|sg Sango|sga Old Irish|sgs Samogitian|sh Serbo-Croatian|shp Shipibo-Conibo
si Sinhala|sjo Xibe|sk Slovak|sl Slovenian|sm Samoan|sms Skolt Sami|sn Shona|so Somali|sq Albanian|sr Serbian|ss Swati
ssp Spanish Sign Language|st Southern Sotho|su Sundanese|sv Swedish|sw Swahili|swl Swedish Sign Language|szl Silesian
ta Tamil|tar Tarahumara|te Telugu|tg Tajik|th Thai|ti Tigrinya|tk Turkmen|tl Tagalog|tn Tswana|to Tongan|tpn Tupinambá
tr Turkish|ts Tsonga|tt Tatar|tw Twi|ug Uyghur|uk Ukrainian|ur Urdu|urb Kaapor|uz Uzbek|vec Venetian|vep Veps
vi Vietnamese|vls West Flemish|vo Volapük|vro Võro|wa Walloon|war Waray|wbp Warlpiri|wo Wolof|wuu Wu Chinese
xav Xavante|xcl Classical Armenian|xh Xhosa|xmf Mingrelian|xnr Kangri|xpg Phrygian|xum Umbrian|yi Yiddish|yo Yoruba
yrk Nenets|yrl Nheengatu|yue Cantonese|zea Zeelandic|zh Chinese|zu Zulu|zza Zazaki|de-AT Austrian German
de-CH Swiss Standard German|en-AU Australian English|en-CA Canadian English|en-GB British English
en-US American English|es-419 Latin American Spanish|es-MX Mexican Spanish|fr-CA Canadian French
pt-BR Brazilian Portuguese|pt-PT European Portuguese|sr-Cyrl Serbian in Cyrillic script
sr-Latn Serbian in Latin script|zh-CN Simplified Chinese|zh-HK Traditional Chinese|zh-Hans Simplified Chinese
zh-Hant Traditional Chinese|zh-TW Traditional Chinese
"""


class LanguageNames(dict[str, str]):
    """The table, with the fallbacks of the module's docstring."""

    def __missing__(self, tag: str) -> str:
        return self.get(tag.split("-")[0], tag)


LANGUAGES = LanguageNames(entry.split(" ", 1) for line in _NAMES.strip().split("\n") for entry in line.split("|"))
"""BCP-47 tag -> English name."""
