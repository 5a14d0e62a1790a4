# Starts the sandbox's database and its proxy; shared by script/sandbox and test/sandbox/run. Source it after script/lib.sh:
#
#   install_packages "${SANDBOX_PACKAGES[@]}"
#   …                        # enter_workspace, build_extension, start_cluster
#   start_shop               # from then on PG* name the shop's database and its owner
#   start_postback_proxy     # sets CC_POSTBACK_URL
# shellcheck shell=bash

SANDBOX_PACKAGES=(
  g++ make libssl-dev rapidjson-dev                                        # the extension
  python3-flask python3-psycopg python3-psycopg-pool python3-segno         # the proxy, the page, its QR code
)

SANDBOX_TEST_PACKAGES=(chromium chromium-driver python3-selenium fonts-dejavu-core openssl)

# The shop's owner is not a superuser: cc_apply and similar functions refuse superusers.
start_shop() {
  export CC_SECRET
  CC_SECRET=$(od -An -N18 -tx1 /dev/urandom | tr -d ' \n')
  psql -Xq --set=ON_ERROR_STOP=1 << 'SQL'
CREATE ROLE shop LOGIN;
CREATE ROLE postback_proxy LOGIN;
CREATE DATABASE shop OWNER shop;
SQL
  export PGUSER=shop PGDATABASE=shop
  psql -Xq --set=ON_ERROR_STOP=1 --output=/dev/null << 'SQL'
\getenv secret CC_SECRET
CREATE EXTENSION cryptocloud_postback;
SELECT cc_setup();
INSERT INTO cc_project (name, secret) VALUES ('default', :'secret');
GRANT EXECUTE ON FUNCTION cc_receive(bytea, text, text) TO postback_proxy;
SQL
  psql -Xq --set=ON_ERROR_STOP=1 --file=sandbox/shop.sql
}

start_postback_proxy() {
  local port
  port=$(free_port)
  start_background proxy "$port" \
    env -u CC_SECRET PGUSER=postback_proxy HOST=127.0.0.1 PORT="$port" /usr/bin/python3 proxies/flask/app.py
  export CC_POSTBACK_URL=http://127.0.0.1:$port/postback
}
