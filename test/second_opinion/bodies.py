#!/usr/bin/python3
"""Random and mutated postbacks for the second opinion, as lines for COPY: n, kind, body, content_type, secret, at, leeway.

    bodies.py --seed 1 --first 0 --count 1000 [--step 1]      the bodies first, first + step, ...
    bodies.py --seed 1 --first 4711 --count 1 --show          one of them, for people

A body depends on the seed and its number only. Each begins as a genuine postback, in JSON or as a form. One or more mutations
(the functions with @mutation) change it: a field, a claim, the text around it, its bytes. A changed header or changed claims
are signed again, so the signature does not decide.
"""

import argparse
import base64
import datetime
import hashlib
import hmac
import json
import random
import sys

AT = datetime.datetime(2026, 1, 27, 10, 23, 20, tzinfo=datetime.timezone.utc)
EXP = 1769509700                       # 300 seconds after AT
SIX = ['status', 'invoice_id', 'amount_crypto', 'currency', 'order_id', 'token']
SECRETS = ['kX3vPq8ZtR1mWc5YbN7dLs2Hf9Jg4TuE', 's3cret', 'x', ' ', 'ключ', 'k' * 64, 'k' * 65, 'é' * 200, '\\x00', "'; --"]


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b'=').decode()


class Raw(str):
    """JSON with its exact spelling, valid or not."""


class Case:
    """A genuine postback, with all parts that a mutation can change."""

    def __init__(self, rng):
        self.rng = rng
        self.is_form = rng.random() < 0.3
        self.secret = self.signed_with = rng.choice(SECRETS) if rng.random() < 0.1 else SECRETS[0]
        self.at, self.leeway = AT.isoformat(), '0'
        self.invoice_id = rng.choice(['ILRAJE1Q', 'A', 'INVOICE', 'V-I', '7', 'ЖX', 'a b'])
        self.header = rng.choice(['{"typ":"JWT","alg":"HS256"}', '{"alg":"HS256"}', ' {"alg": "HS256", "kid": "1"} '])
        self.claims = [['id', self.invoice_id], ['exp', Raw(EXP)]]
        self.claims_text = None           # instead of `claims`
        self.token = None                 # replaces the signed token
        self.tweaks = []                  # functions of header and claims parts: the token's text
        self.members = [
            ['status', 'success'], ['invoice_id', rng.choice(['', '', 'INV-']) + self.invoice_id],
            ['amount_crypto', Raw(rng.choice(['0.000113', '1', '25.50', '1e-06', '0']))],
            ['currency', rng.choice(['BNB', 'USDT_TRC20'])], ['token', None]]
        if rng.random() < 0.6:
            self.members.append(['order_id', rng.choice(['ORDER_93223', '', 'ж', Raw('null')])])
        if rng.random() < 0.3:
            self.members.append(['invoice_info', Raw(rng.choice(INFOS))])
        if self.is_form:
            self.members = [m for m in self.members if not (m[0] == 'order_id' and m[1] == 'null')]
        if rng.random() < 0.5:
            rng.shuffle(self.members)
        self.content_type = 'application/x-www-form-urlencoded' if self.is_form else 'application/json'
        self.escaping = 0.0 if rng.random() < 0.7 else rng.choice([0.02, 0.3])    # share of characters escaped without need
        self.spacing = rng.random() < 0.2
        self.bytes_steps = []             # functions from bytes to bytes

    def set(self, name, value):
        for member in self.members:
            if member[0] == name:
                member[1] = value
                return
        self.members.append([name, value])

    def drop(self, name):
        self.members = [m for m in self.members if m[0] != name]

    def insert(self, name, value):
        self.members.insert(self.rng.randint(0, len(self.members)), [name, value])

    def set_claim(self, name, value):
        self.claims = [c for c in self.claims if c[0] != name] + [[name, value]]

    # --- Spelling ---

    def string(self, text):
        """Returns JSON, with some characters escaped without need."""
        if not self.escaping:
            return json.dumps(text, ensure_ascii=False)
        out = []
        for c in text:
            if self.rng.random() < self.escaping:
                units = c.encode('utf-16-be')
                out += ['\\u%s' % units[i:i + 2].hex() for i in range(0, len(units), 2)]
            else:
                out.append(json.dumps(c, ensure_ascii=False)[1:-1])
        return '"%s"' % ''.join(out)

    def blank(self):
        return self.rng.choice(['', '', ' ', '\n  ', '\t', '\r\n']) if self.spacing else ''

    def object(self, members):
        s = self.blank
        return '{' + ','.join('%s%s%s:%s%s%s' % (s(), name if isinstance(name, Raw) else self.string(name), s(), s(),
                                                 value if isinstance(value, Raw) else self.string(value), s())
                              for name, value in members) + s() + '}'

    def form_part(self, text):
        out = []
        for byte in text.encode('utf-8', 'surrogatepass'):
            c = chr(byte)
            if c == ' ':
                out.append(self.rng.choice(['+', '%20']))
            elif c.isalnum() and byte < 128 and self.rng.random() >= self.escaping or c in '-_.*':
                out.append(c)
            else:
                out.append(self.rng.choice(['%%%02X', '%%%02x']) % byte)
        return ''.join(out)

    def sign(self):
        claims = self.claims_text if self.claims_text is not None else self.object(self.claims)
        parts = [b64url(text.encode('utf-8', 'surrogatepass') if isinstance(text, str) else text) for text in (self.header,
                 claims)]
        signed = '.'.join(parts)
        digest = hmac.new((self.signed_with or '').encode(), signed.encode(), hashlib.sha256).digest()
        return signed + '.' + b64url(digest)

    def body(self):
        if self.token is None:
            token = self.sign()
            for tweak in self.tweaks:
                token = tweak(token)
        else:
            token = self.token
        members = [[name, token if value is None else value] for name, value in self.members]
        if self.is_form:
            text = '&'.join(name if value is NO_EQUALS else self.form_part(name) + '=' + self.form_part(value)
                            for name, value in members)
        else:
            text = self.object([m for m in members if m[1] is not NO_EQUALS])
        data = text.encode('utf-8', 'surrogatepass')
        for step in self.bytes_steps:
            data = step(data)
        return data


class NoEquals(str):
    pass


NO_EQUALS = NoEquals()

INFOS = ['{}', 'null',
         '{"uuid":"INV-ILRAJE1Q","amount_usd":0.1,"tx_list":["0x12"],"received":1.6543612251060553e-24,"test_mode":false}',
         '"uuid"', '{"status":"paid","status":"paid","currency":{"code":"BNB","network":{"code":"BSC"}},"token":"inner"}',
         '{"a":[1,2,{"b":[]}],"c":"\\u0416\\ud83d\\udcb8"}']

# --- Pieces ---

STRINGS = ['', ' ', '\t', 'x', 'INV-', 'INV- ', 'inv-A', 'INV-INV-A', ' INV-A', 'A ', 'a\nb', 'a\x1fb', '\x7f', '\x80', '\x9f',
           '\xa0', '\u2028',
           '\ufeff', 'Ж', '💸', 'ss', 'ſ',
           'null', 'NaN', '0', '-1', '1e5', '+1', '.5', 'a\x00b', 'x' * 255, 'x' * 256, '💸' * 255,
               '💸' * 256,
           'е\u0301', '\\', '"', '\u212a']
VALUES = ['null', 'true', 'false', '0', '7', '-7', '-0', '7.0', '7e0', '1E2', '12345678901234567890', '9' * 255, '9' * 256, '[]',
          '{}', '[1]',
          '{"a":1}', '""', '"x"', '" "', '"INV-"', '"\\u0049NV-A"', '"\\n"', '"\\u0000"', '"\\ud800"', '"\\ud83d\\udcb8"', 'nul',
              'True', "'x'", '']
NUMBERS = ['0', '-0', '-0.0', '0e5', '0e-5', '0E-99999', '0e99999999999', '-0e1', '1e400', '-1e400', '1e-400', '1e99999999999',
           '1e-99999999999',
           '1.-1', '--1', '-', '1.', '.5', '01', '-01', '1e', '1e+', '1e-', '+1', '0x10', '1_000', 'NaN', 'Infinity', '-Infinity',
               '1.5.5', '1e5e5',
           '1e399', '1e0399', '1.0e-399', '1.0e-400', '1.00e399', '9' * 400, '9' * 401, '0.' + '1' * 400, '0.' + '1' * 401,
               '0.' + '0' * 400,
           '0.' + '0' * 401, '1.6543612251060553e-24', '1e308', '1.8e308', '1e309', '123456789012345678901234567890.123456789',
               '1e1.5', '1e 5',
           '- 1', '1-1', '1+1', '1e--5', '1ee5', '00', '-00', '0.', '-.5', '1e00000000000000000005', '0.1e1', '1e127', '1e128',
               '5e-324', '1e-16383',
           '1e-16384', '1e131071', '1e131072', '٣', '1\u0660', '1e' + '9' * 25, '-1e-' + '9' * 25, '0e' + '9' * 25]
AMOUNTS = ['0', '-0', '0.0', '1', '-1', '1.0', '100.00', '1e-06', '1E+2', '1e37', '1e38', '9' * 38, '9' * 39, '1e-36', '1e-37',
           '0.' + '0' * 35 + '1',
           '0.' + '0' * 36 + '1', '0.' + '0' * 40, '1.' + '0' * 200, '10e36', '10e37', '0.1e38', '0.1e39', '0e999999999999',
               '-0e1', '-1e-99999',
           '1e-99999999999', '1e99999999999', '1,5', '0x1', 'NaN', 'Infinity', '1_0', '+5', '.5', '5.', '05', '', ' ', '5 5',
               '1e', '٥',
           '123456789.000000000000000000000000000000000001',
               '99999999999999999999999999999999999999.999999999999999999999999999999999999']
CONTENT_TYPES = [None, '', ' ', '\t \r\n', 'application/json', 'APPLICATION/JSON', 'text/json', 'application/x+json',
                 'application/a/b+json',
                 'application/+json', 'application/a b+json', 'application/ж+json', 'application/problem+JSON ; x=1',
                     'application/jsons',
                 'application/x-www-form-urlencoded', 'Application/X-WWW-Form-URLencoded;charset=UTF-8', 'multipart/form-data',
                     'text/plain',
                 'application/x-www-form-urlencoded2', ' application/json ', '\u00a0application/json', 'application /json',
                     'application/json,',
                 'json', ';', ';charset=utf-8', 'application', '/', 'text/x+json', 'application/x+json+json', 'application/json+',
                     '\ufeffapplication/json',
                 'application/\u212ason', 'application/jſon', 'appl\u0130cation/json', 'application/json\x0b', '*/*',
                     'application/*+json']
PARAMETERS = ['charset=utf-8', 'charset=UTF8', 'charset=us-ascii', 'Charset="utf-8"', 'charset=iso-8859-1', 'charset=utf-16',
              'charset=',
              'charset=""', 'charset', 'charset="utf-8', "charset='utf-8'", ' charset = utf-8 ', 'charset=utf-8 x',
                  'xcharset=latin1', 'x=y', '', ' ',
              'x="a;charset=latin1"', 'x="a\\";charset=latin1"', 'x="a;charset=latin1', 'x="', 'x="\\', '"', 'a"b;c"d',
                  'charset=utf‑8',
              'charset="utf-8";charset=latin1', 'charset*=utf-8', '=utf-8', 'charset==utf-8', 'boundary=-', 'charſet=latin1',
                  'charset="utf\\-8"']
HEADERS = ['{"alg":"HS256"}', '{"alg":"hs256"}', '{"alg":"none"}', '{"alg":"HS384"}', '{"alg":"HS512"}', '{"alg":"RS256"}',
           '{"alg":""}', '{"alg":null}',
           '{"alg":["HS256"]}', '{"alg":256}', '{}', '{"ALG":"HS256"}', '{"alg":"HS256","crit":[]}',
                    '{"alg":"HS256","crit":null}', '{"alg":"HS256","b64":true}',
           '{"alg":"HS256","b64":false}', '{"alg":"HS256","b64":null}', '{"alg":"HS256","b64":"true"}', '{"alg":"HS256","b64":1}',
               '{"alg":"HS256","alg":"HS256"}',
           '{"alg":"none","alg":"HS256"}', '{"\\u0061lg":"HS256"}', '{"alg":"\\u0048S256"}', '{"alg":"HS256","x":1,"x":2}',
               '{"alg":"HS256","x":{"y":1,"y":2}}',
           '["HS256"]', '"HS256"', '', '{', 'null', '{"alg":"HS256"', '\ufeff{"alg":"HS256"}', '{"alg":"HS256","x":"\\u0000"}',
             '{"alg":"HS256","x":"\\udc00"}',
           '{"alg":"HS256","x":1e400}', '{"alg":"HS256","x":--1,"y":1e400}', '{"alg":"HS256 "}', '{"alg":"HS256","":0,"":0}',
               '{"alg":"HS256",}', b'{"alg":"HS256","x":"\xff"}',
           '\n{"alg":"HS256"}\t', '{"alg":"HS256"}\x00', '{"alg":"HS256","x":' + '[' * 63 + ']' * 63 + '}',
           '{"alg":"HS256","x":' + '[' * 64 + ']' * 64 + '}',
           '{"alg":"HS256","jwk":{"k":"x"},"jku":"http://x"}', '{"alg":"HS256","b64":true,"crit":["b64"]}',
                                                                                                  '{"alg":true,"alg":"HS256"}']
DATES = [str(EXP), '%d.5' % EXP, '%d.0000001' % EXP, '1.7695097e9', '17695097e2', '0', '-0', '-1', '-0.0000001', '1e-99999',
         '-1e-99999', '1e99999999999', '-1e400',
         '1e400', '253402300799', '253402300799.999999', '253402300799.9999991', '253402300800', '2534023007990e-1',
             '99999999999999', '1769509400', '1769509400.0000001',
         '1769509399.9999999', '1769509401', '999999999999', '1000000000000', '9223372036854', '9223372036855',
             '18446744073709551616', '0.1e11', '1769509700.123456',
         '1769509700.1234565', '7258118400.000001', '"1769509700"', '""', 'null', 'true', '[1769509700]', '{}', '1.', '--1', '01',
                                                                                            '1e400000']
IDS = ['"ILRAJE1Q"', '"INV-ILRAJE1Q"', '"A"', '"INV-A"', '"inv-A"', '"INV-INV-A"', '""', '"INV-"', '13', '7', '"7"', 'null',
       'true', '[]', '["X"]', '{"id":"X"}', '" A"', '"A "',
       '"\\u0041"', '"a"', '"INVOICE"', '"INV-INVOICE"', '"INV-OICE"', '"V-I"', '"\\u0416X"', '"a b"', '"INV-V-I"', '"INV-7"']
TIMES = ['2026-01-27 10:28:19.999999+00', '2026-01-27 10:28:20+00', '2026-01-27 10:28:20.000001+00',
         '2026-01-27 10:23:19.999999+00', '2026-01-27 10:23:20+00',
         '4713-01-01 00:00:00+00 BC', '294276-12-31 23:59:59.999999+00', '294276-01-01 00:00:00+00',
             '9999-12-31 23:59:59.999999+00', '10000-01-01 00:00:00+00',
         '294247-01-10 04:00:54.775807+00', '294247-01-10 04:00:54.775808+00', '1970-01-01 00:00:00+00',
             '1969-12-31 23:59:59.999999+00', '2000-01-01 00:00:00+00',
         'infinity', '-infinity', None, '2026-03-29 00:59:59+00']
LEEWAYS = ['0', '1 microsecond', '-1 microsecond', '1 second', '5 minutes', '300.000001 seconds', '-1 day', '1 day', '1 month',
           '1 year', '1 month -30 days',
           '1 month -31 days', '1 month -30 days -1 microsecond', '-1 month 30 days', '100 years', '178000000 years',
               '2147483647 days', '1 day -24 hours',
           '-1 day 24 hours', '1 day -86400.000001 seconds', '2562047788 hours', None]
GARBAGE = [b'\x00', b'\xff', b'\xc0\x80', b'\xed\xa0\x80', b'\xf4\x90\x80\x80', b'\xef\xbb\xbf', b'\xef\xbf\xbe', b'\xc3',
           b'\xa0', b'\x1a', b'\x1f', b'\x0b', b'\x0c', b'\x7f',
           '\u00a0'.encode(), '\u2028'.encode()]
WORDS = ['{', '}', '[', ']', ',', ':', '"', '\\', '\\u', '\\u0000', '\\ud83d', '\\udcb8', '\\"', '\\/', '\\b', '\\x', 'null',
         'true', 'false', '1e400', '--1', '1.-1', '-', '0',
         'e', 'E+', '.', '/*x*/', '//', '&', '=', '%', '%00', '%2', '%zz', '%2B', '+', '%c3', '%a9', ';', '#', "'", '\x1a', '\n',
             ' ', '"x":1,', '"token":"",', '"invoice_info":0,',
         '"status":"success",', 'INV-', '\ufeff', '"\\u0073tatus":1,', 'NaN', ',,', '[]', '{}', '""']


def random_number(rng):
    if rng.random() < 0.5:
        return rng.choice(NUMBERS)
    if rng.random() < 0.5:        # by the grammar
        return (rng.choice(['', '-']) + rng.choice(['0', str(rng.randint(1, 10 ** rng.randint(1, 40)))])
                + rng.choice(['', '.' + str(rng.randint(0, 10 ** rng.randint(1, 40))), '.' + '0' * rng.randint(1, 40) + '1'])
                + rng.choice(['', rng.choice('eE') + rng.choice(['', '+', '-']) + rng.choice(['0', '00', '5', str(rng.randint(0,
                              450)), '99999'])]))
    return ''.join(rng.choice('0011259--+..eE') for _ in range(rng.randint(1, 7)))


def random_value(rng, depth=0):
    """Returns any JSON, sometimes with invalid numbers."""
    roll = rng.random()
    if depth > 3 or roll < 0.35:
        return rng.choice(VALUES[:26])
    if roll < 0.6:
        return random_number(rng) if rng.random() < 0.3 else str(rng.randint(-1000, 1000))
    if roll < 0.75:
        return json.dumps(rng.choice(STRINGS).replace('\x00', ''), ensure_ascii=rng.random() < 0.5)
    if roll < 0.88:
        return '[' + ','.join(random_value(rng, depth + 1) for _ in range(rng.randint(0, 3))) + ']'
    return '{' + ','.join('"%s":%s' % (rng.choice('abc'), random_value(rng, depth + 1)) for _ in range(rng.randint(0, 3))) + '}'


# --- Mutations ---

MUTATIONS = {}


def mutation(function):
    MUTATIONS[function.__name__] = function
    return function


@mutation
def genuine(case, rng):
    """Changes only the spelling, not the meaning."""
    case.escaping = rng.choice([0, 0.1, 1])
    case.spacing = rng.random() < 0.5


@mutation
def field(case, rng):
    name = rng.choice(SIX)
    roll = rng.random()
    if roll < 0.15:
        case.drop(name)
    elif roll < 0.6:
        case.set(name, rng.choice(STRINGS))
    elif roll < 0.7:
        case.set(name, rng.choice(STRINGS) + rng.choice(STRINGS) + rng.choice('\x00\t\x1f\x20\x7f\x80\x85\x9f\xa0Ж'))
    else:
        case.set(name, Raw(rng.choice(VALUES)))


@mutation
def amount(case, rng):
    text = rng.choice(AMOUNTS) if rng.random() < 0.7 else random_number(rng)
    if rng.random() < 0.3:
        text = rng.choice(['', ' ', '  ', '\t', '\n', '\u00a0']) + text + rng.choice(['', ' ', '   ', '\r', '\x0b'])
    case.set('amount_crypto', Raw(text) if rng.random() < 0.5 else text)


@mutation
def number(case, rng):
    """Numbers that do not affect the verdict, one of them often too big for a double (M13)."""
    values = [random_number(rng) for _ in range(rng.randint(1, 3))]
    if rng.random() < 0.4:
        values.append(rng.choice(['1e400', '-1e999', '1.5e309']))
    rng.shuffle(values)
    for i, value in enumerate(values):
        if rng.random() < 0.2:
            value = rng.choice(['[%s]', '{"n":%s}', '[0,%s]', '[%s ,1]']) % value
        case.insert('xyzw'[i], Raw(value))
    if rng.random() < 0.1:
        case.set(rng.choice(['invoice_id', 'order_id']), Raw(random_number(rng)))


@mutation
def string(case, rng):
    """Escapes and bytes within a string."""
    pieces = ['\\u0000', '\\u0001', '\\u001f', '\\ud800', '\\udbff', '\\udc00', '\\udfff', '\\ud83d\\udcb8', '\\uD83D\\uDCB8',
              '\\ud83d\\ud83d', '\\udcb8\\ud83d', '\\\\u0000',
              '\\\\\\u0000', '\\\\ud800', '\\ud83d\\\\udcb8', '\\u00', '\\u00g0', '\\x41', '\\"', '\\\\', '\\/',
                  '\\b\\f\\n\\r\\t', '\\v', "\\'", '\\U0041', '\t', '\n', '\x1a', '\x1f',
              '\x7f', 'é', '💸', '\\', '\\u0416', 'x', ' ', '\\ud83d \\udcb8', '\\ud83dx', '\\uFFFF', '\\ufeff', '\\ud83d\\n',
                  '[{', '":', '\\u005c', '\\u005cu0000']
    text = Raw('"' + ''.join(rng.choice(pieces) for _ in range(rng.randint(1, 4))) + '"')
    roll = rng.random()
    if roll < 0.4:
        case.insert('x', text)
    elif roll < 0.6:
        case.insert(text, Raw('1')) if not case.is_form else case.insert('x', text)
    else:
        case.set(rng.choice(SIX + ['invoice_info']), text)


@mutation
def duplicate(case, rng):
    name = rng.choice(SIX + ['invoice_info', 'x', 'Status', 'status ', 'TOKEN', '', 'invoice_info'])
    value = rng.choice(['success', 'x', Raw('null'), Raw('1'), Raw('{}'), NO_EQUALS if case.is_form else Raw('[]')])
    for _ in range(rng.randint(1, 3)):
        if rng.random() < 0.3 and not case.is_form and name:
            case.insert(Raw('"\\u%04x%s"' % (ord(name[0]), name[1:])), value)
        else:
            case.insert(name, value)
    if name == 'x' and rng.random() < 0.5:
        case.insert('invoice_info', Raw('{"token":"t","status":1,"status":2}'))


@mutation
def nesting(case, rng):
    depth = rng.choice([1, 2, 10, 61, 62, 63, 63, 64, 64, 65, 66, 100, 300])
    opened, closed = '', ''
    for _ in range(depth):
        if rng.random() < 0.5:
            opened, closed = opened + rng.choice(['[', '[0,', '["]",', '[[],']), ']' + closed
        else:
            opened, closed = opened + rng.choice(['{"a":', '{"[":']), '}' + closed
    if rng.random() < 0.1:
        closed = closed[:-1]
    inner = rng.choice(['0', '""', '"[[[["', '"\\"[{"', '[]', '{}', '[[]]', 'null', '"\\\\"'])
    case.insert(rng.choice(['x', 'invoice_info']), Raw(opened + inner + closed))
    if rng.random() < 0.3:
        case.insert('y', Raw('"' + '[{' * 40 + '"'))
    if rng.random() < 0.2:
        case.insert('z', Raw('[' + ','.join(['[]'] * 70) + ']'))


@mutation
def value(case, rng):
    for name in rng.sample(['x', 'invoice_info', 'y', 'a'], rng.randint(1, 3)):
        case.insert(name, Raw(random_value(rng)))


@mutation
def many(case, rng):
    """Objects and arrays with more elements than one stride of jsonb, some with repeated names."""
    count = rng.choice([31, 32, 33, 64, 65, 200])
    names = ['"%s"' % rng.choice(['a', 'b', 'ж', '\\u0061', 'token', 'status',
             'k' * 40]) + '' if rng.random() < 0.1 else '"%s%d"' % ('k' * rng.randint(0, 3), rng.randint(0, 300))
             for _ in range(count)]
    values = [rng.choice(['0', '""', '"x"', 'null', 'true', '1.5', '[]', '{}', '-0', '1e-5', '"ж"']) for _ in names]
    pairs = '{' + ','.join('%s:%s' % pair for pair in zip(names, values)) + '}'
    case.insert(rng.choice(['x', 'invoice_info']), Raw(rng.choice([pairs, '[' + ','.join(values) + ']', '[%s,%s]' % (pairs,
                            pairs), '{"a":[%s,{"b":%s}]}' % (pairs, pairs)])))
    if rng.random() < 0.5:
        for name in names:
            case.insert(Raw(name) if not case.is_form else name.strip('"'), Raw('1'))


@mutation
def bytes_changed(case, rng):
    def change(data):
        data = bytearray(data)
        for _ in range(rng.choice([1, 1, 1, 2, 5])):
            at = rng.randint(0, max(len(data) - 1, 0))
            roll = rng.randint(0, 6)
            if not data:
                break
            if roll == 0:
                del data[at:at + rng.randint(1, 4)]
            elif roll == 1:
                data[at:at] = rng.choice(GARBAGE)
            elif roll == 2:
                data[at] ^= 1 << rng.randint(0, 7)
            elif roll == 3:
                data[at] = rng.randint(0, 255)
            elif roll == 4:
                data[at:at] = data[rng.randint(0, len(data) - 1):][:rng.randint(1, 20)]
            elif roll == 5:
                del data[at:]
            else:
                other = rng.randint(0, len(data) - 1)
                data[at], data[other] = data[other], data[at]
        return bytes(data)
    case.bytes_steps.append(change)


@mutation
def words(case, rng):
    """Words of JSON and of forms, inserted at the borders of other tokens."""
    def change(data):
        text = data.decode('utf-8', 'replace')
        for _ in range(rng.choice([1, 1, 2])):
            places = [i for i, c in enumerate(text) if c in '{}[],:"&=%'] or [0]
            at = rng.choice(places) + rng.randint(0, 1)
            text = text[:at] + rng.choice(WORDS) + text[at + rng.choice([0, 0, 0, 1]):]
        return text.encode('utf-8', 'replace')
    case.bytes_steps.append(change)


@mutation
def around(case, rng):
    """White space and similar characters around the body."""
    pieces = [b' ', b'\t', b'\r\n', b'\n\n'] * 4 + GARBAGE + [b'&', b'{', b'[', b',']
    before, after = (b''.join(rng.choice(pieces) for _ in range(rng.randint(0, 3))) for _ in range(2))
    case.bytes_steps.append(lambda data: before + (b'' if rng.random() < 0.05 else data) + after)
    if rng.random() < 0.3:
        case.content_type = None


@mutation
def content_type(case, rng):
    text = rng.choice(CONTENT_TYPES + [case.content_type] * 20)
    if text is not None and rng.random() < 0.7:
        text += ''.join(rng.choice([';', '; ', ' ;']) + rng.choice(PARAMETERS) for _ in range(rng.randint(1, 3)))
    if text and rng.random() < 0.1:
        at = rng.randint(0, len(text) - 1)
        text = text[:at] + rng.choice(['', ' ', ';', '"', '\\', '=', 'x', 'Ж']) + text[at + 1:]
    case.content_type = text


@mutation
def token_form(case, rng):
    alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

    def tweak(token):
        at = rng.randint(0, len(token) - 1)
        parts = token.split('.')
        which = rng.randint(0, len(parts) - 1)
        roll = rng.randint(0, 13)
        if roll == 0:
            return token[:at] + rng.choice(alphabet + '.=+/ \n\t\x00é') + token[at + 1:]
        if roll == 1:
            return token[:at] + rng.choice(alphabet + '.=+/ \n\t~é') + token[at:]
        if roll == 2:
            return token[:at] + token[at + rng.randint(1, 4):]
        if roll == 3:                                   # other spellings of the same bytes
            last = parts[which][-1:]
            if last in alphabet and last:
                parts[which] = parts[which][:-1] + alphabet[alphabet.index(last) ^ rng.choice([1, 2, 3])]
        elif roll == 4:
            parts[which] += '=' * rng.randint(1, 2)
        elif roll == 5:
            parts[which] = parts[which].replace('-', '+').replace('_', '/')
        elif roll == 6:
            parts[which] = ''
        elif roll == 7:
            parts.insert(which, rng.choice(['', 'e30', 'x']))
        elif roll == 8:
            parts[which] += rng.choice(['A', 'AA', 'AAAA', '\n'])
        elif roll == 9:
            return rng.choice([' ', '\n', '\t\r', '\u00a0', '\x0b', 'Bearer ']) + token + rng.choice(['', ' ', '\r\n', '\u3000'])
        elif roll == 10:
            return rng.choice(['', '.', '..', '...', 'a.b.c', 'e30.e30.e30', 'x' * 4096, 'x' * 4097, 'ж' * 4096, '💸' * 4097])
        elif roll == 11:
            rng.shuffle(parts)
        elif roll == 12:
            return token.swapcase()
        return '.'.join(parts)
    case.tweaks.append(tweak)


@mutation
def header(case, rng):
    case.header = rng.choice(HEADERS)


@mutation
def claims(case, rng):
    roll = rng.random()
    if roll < 0.15:
        case.claims_text = rng.choice(['', '{}', '[]', 'null', '"x"', '{"exp":%d' % EXP, '{"exp":%d,"exp":%d}' % (EXP, EXP),
                                       '{"exp":%d,"\\u0065xp":1}' % EXP, '\ufeff{"exp":%d}' % EXP,
                                       b'{"exp":1769509700,"x":"\xff"}', '{"exp":%d}\x00' % EXP, ' {"exp":%d}\n' % EXP,
                                           '{"exp":%d}{}' % EXP,
                                       '{"exp":%d,"x":%s}' % (EXP, '[' * 63 + ']' * 63), '{"exp":%d,"x":%s}' % (EXP,
                                                                     '[' * 64 + ']' * 64), '{"exp":%d,"id":"A","id":"A"}' % EXP])
        return
    for name in rng.sample(['exp', 'nbf', 'iat', 'x', 'EXP', 'sub'], rng.randint(1, 3)):
        case.set_claim(name,
            Raw(rng.choice(DATES) if rng.random() < 0.7 else random_value(rng) if rng.random() < 0.5 else random_number(rng)))
    if rng.random() < 0.1:
        case.claims = [c for c in case.claims if c[0] != 'exp']


@mutation
def binding(case, rng):
    case.claims = [c for c in case.claims if c[0] != 'id']
    for name in rng.sample(['id', 'uuid', 'ID', 'invoice_id'], rng.randint(0, 3)):
        case.claims.append([name, Raw(rng.choice(IDS))])
    if rng.random() < 0.5:
        case.set('invoice_id', rng.choice([Raw('7'), 'INV-' + case.invoice_id, 'INV-INV-' + case.invoice_id, case.invoice_id,
                                           case.invoice_id.lower(), 'A', Raw('"\\u0041"')]))


@mutation
def time(case, rng):
    if rng.random() < 0.7:
        case.at = rng.choice(TIMES)
    if rng.random() < 0.5:
        case.leeway = rng.choice(LEEWAYS)
    if rng.random() < 0.5:
        case.set_claim(rng.choice(['exp', 'nbf']), Raw(rng.choice(DATES[:31])))


@mutation
def signature(case, rng):
    roll = rng.randint(0, 5)
    if roll == 0:
        case.signed_with = rng.choice(SECRETS + [case.secret.lower(), case.secret + ' ', case.secret[:-1]])
        return

    def tweak(token):
        signed, _, given = token.rpartition('.')
        key = case.secret.encode()
        digest = [lambda: hmac.new(key, signed.encode(), hashlib.sha512).digest(),
                  lambda: hashlib.sha256(signed.encode()).digest(), lambda: b'\x00' * 32,
                  lambda: hmac.new(b'', signed.encode(), hashlib.sha256).digest(), lambda: hmac.new(key, signed.encode(),
                      hashlib.sha256).digest()[:rng.randint(1, 31)],
                  lambda: hmac.new(key, signed.encode(), hashlib.sha256).digest() + b'\x00', lambda: hmac.new(key,
                      signed.encode(), hashlib.sha256).hexdigest().encode(),
                  lambda: hmac.new(key, signed.encode()[:-1], hashlib.sha256).digest(), lambda: bytes(rng.randint(0,
                                                        255) for _ in range(32))]
        return signed + '.' + b64url(rng.choice(digest)())
    case.tweaks.append(tweak)


@mutation
def secret(case, rng):
    case.secret = rng.choice([None, '', ' ', '\n'] + SECRETS)
    case.signed_with = case.secret if rng.random() < 0.7 else rng.choice(SECRETS)


@mutation
def form(case, rng):
    """Features of forms only."""
    if not case.is_form:
        case.is_form, case.content_type = True, rng.choice(['application/x-www-form-urlencoded', None])
        case.members = [m for m in case.members if not isinstance(m[1], Raw) or m[0] == 'amount_crypto']
    pieces = [b'&', b'&&', b'x', b'x=', b'=', b'=x', b'x=1', b'x=2', b'x=%', b'x=%4', b'x=%4g', b'x=%+1', b'x=% 1', b'x=%00',
              b'x=\x00', b'x=\xff', b'x=%ff', b'x=\xd0%b6', b'x=%d0\xb6',
              b'x=%D0', b'x=%c0%80', b'x=%ed%a0%80', b'x=%f0%9f%92%b8', b'x=a=b', b'x=%25', b'x=%2525', b'x=+%2B+',
                  b'order%5Fid=1', b'%73tatus=success', b'invoice_info=uuid', b'invoice_info=a',
              b'order_id=%0A', b'order_id=%C2%85', b'order_id=a;b', b'x;y=1', b'token', b'token=', b'x[]=1', b'a+b=1', b'a%20b=2',
                                                                                                       b'%=1', b'x=%u0416',
                                                                                                       b'x=%%41', b'%E2%80%A8=1',
                                                                                                       b'x=%1A']
    extra = [rng.choice(pieces) for _ in range(rng.randint(1, 4))]
    if rng.random() < 0.03:        # about 1,000 pairs
        total = rng.choice([999, 1000, 1001, 1001, 1002])
        extra = [b'&&'] * rng.randint(0, 3) + [b'x'] * (total - len(case.members))

    def change(data):
        parts = data.split(b'&')
        for piece in extra:
            parts.insert(rng.randint(0, len(parts)), piece)
        return b'&'.join(parts)
    case.bytes_steps.append(change)


@mutation
def size(case, rng):
    """Sizes around 1 MiB."""
    total = 1048576 + rng.choice([-1, 0, 0, 1, 1, 100])
    filler = rng.choice([b' ', b'x', b'&', b'['])
    case.bytes_steps.append(lambda data: data + filler * (total - len(data)) if rng.random() < 0.7
                            else filler * (total - len(data)) + data)


@mutation
def several(case, rng):
    for name in rng.sample([n for n in MUTATIONS if n not in ('several', 'size', 'genuine', 'secret')], rng.randint(2, 3)):
        MUTATIONS[name](case, rng)


def make(seed, n):
    rng = random.Random('%s/%d' % (seed, n))
    names = list(MUTATIONS)
    kind = rng.choices(names,
        [0.02 if name == 'size' else 0.3 if name == 'secret' else 3 if name == 'several' else 1 for name in names])[0]
    case = Case(rng)
    MUTATIONS[kind](case, rng)
    return kind, case, case.body()


def copy_text(value):
    if value is None:
        return '\\N'
    return value.replace('\\', '\\\\').replace('\t', '\\t').replace('\n', '\\n').replace('\r', '\\r')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--seed', default='1')
    parser.add_argument('--first', type=int, default=0)
    parser.add_argument('--count', type=int, default=1)
    parser.add_argument('--step', type=int, default=1)
    parser.add_argument('--show', action='store_true')
    options = parser.parse_args()
    for n in range(options.first, options.first + options.count * options.step, options.step):
        kind, case, body = make(options.seed, n)
        if options.show:
            print(n, kind, repr(case.content_type), repr(case.secret), case.at, case.leeway, body, sep='\n')
        else:
            sys.stdout.write('%d\t%s\t\\\\x%s\t%s\t%s\t%s\t%s\n' % (n, kind, body.hex(), copy_text(case.content_type),
                copy_text(case.secret), copy_text(case.at), copy_text(case.leeway)))


if __name__ == '__main__':
    main()
