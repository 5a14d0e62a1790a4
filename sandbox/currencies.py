"""The coins that the service accepts, and their rates. The rates are fictitious, and never change."""
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal, InvalidOperation

CENT = Decimal("0.01")
FIAT = {"USD": Decimal(1), "RUB": Decimal("0.0125"), "EUR": Decimal("1.1"), "GBP": Decimal("1.25"), "KZT": Decimal("0.002")}

RATES = {  # USD per coin
    "BTC": 100000,
    "LTC": 100,
    "TRX": "0.25",
    "SOL": 200,
    "TON": 4,
    "BNB": 800,
    "ETH": 4000,
    "XAUT": 4000,
    "ARB": "0.5",
    "OP": 1,
    "PEPE": "0.00001",
    "SHIB": "0.00002",
    "TRUMP": 10,
    "USDT": 1,
    "USDC": 1,
    "DAI": 1,
    "USDD": 1,
    "PYUSD": 1,
    "TUSD": 1,
}
NETWORKS = {
    "BTC": "Bitcoin",
    "LTC": "Litecoin",
    "TRC20": "Tron",
    "SOL": "Solana",
    "TON": "TON",
    "BSC": "BNB Smart Chain",
    "ERC20": "Ethereum",
    "ARB": "Arbitrum",
    "BASE": "Base",
    "OPT": "Optimism",
    "OP": "Optimism",
}
NATIVE = {"TRX": "TRC20", "BNB": "BSC", "ETH": "ERC20"}  # coins whose code does not name the network
CODES = """
    BTC LTC TRX SOL TON BNB ETH ETH_ARB ETH_BASE ETH_OPT USDT_ARB USDT_BSC USDT_ERC20 USDT_OPT USDT_SOL USDT_TON USDT_TRC20
    USDC_ARB USDC_BASE USDC_BSC USDC_ERC20 USDC_OPT USDC_SOL DAI_ARB DAI_BASE DAI_BSC DAI_ERC20 DAI_OPT USDD_TRC20
    PYUSD_ERC20 PYUSD_SOL XAUT_ERC20 XAUT_TON ARB_ARB OP_OPT PEPE_BSC PEPE_ERC20 SHIB_BSC SHIB_ERC20 TRUMP_SOL
    USDC_TRC20 TUSD_TRC20 TUSD_ERC20
""".split()


@dataclass(frozen=True)
class Coin:
    id: int
    code: str
    name: str
    network: str

    @property
    def rate(self):
        return Decimal(RATES.get(self.name, 1))

    def amount(self, usd):
        """Returns the amount of this coin for a price in dollars, rounded up to six decimals, or eight for expensive coins."""
        places = Decimal("0.00000001") if self.rate > 10 else Decimal("0.000001")
        return (usd / self.rate).quantize(places, ROUND_UP)

    def as_json(self):
        return {
            "id": self.id,
            "code": self.name,
            "fullcode": self.code,
            "network": {"code": self.network, "id": self.id, "icon": "", "fullname": NETWORKS.get(self.network, self.network)},
            "name": self.name,
            "is_email_required": False,
            "stablecoin": self.rate == 1,
            "icon_base": "",
            "icon_network": "",
            "icon_qr": "",
            "order": self.id,
        }


def usd_of(price, fiat="USD"):
    """Returns a price in US dollars, to the cent. Raises ValueError if the text is not a price."""
    try:
        usd = (Decimal(str(price)) * FIAT[fiat]).quantize(CENT)
    except InvalidOperation:
        raise ValueError(f"{price} is no price") from None
    if not usd.is_finite() or usd <= 0:
        raise ValueError(f"{price} is no price")
    return usd


def coin_of(number, code):
    name, _, network = code.partition("_")
    return Coin(number, code, name, network or NATIVE.get(name, name))


COINS = {code: coin_of(number, code) for number, code in enumerate(CODES, start=1)}


def find_coin(code):
    """Returns a coin by its code. The service adds coins over time: an unknown coin counts as a dollar."""
    return COINS.get(code) or coin_of(999, code)
