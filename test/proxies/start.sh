# Starts every proxy against the cluster that PG* name; shared by test/proxies/run and bench/proxies/run. Source it after
# script/lib.sh:
#
#   install_packages "${PROXY_PACKAGES[@]}"
#   install_npm
#   …                        # enter_workspace, build_extension, start_cluster
#   make_proxy_role          # with only the documented privilege
#   start_proxies            # fills PROXY_URL
# shellcheck shell=bash

PROXY_PACKAGES=(
  python3-flask python3-psycopg python3-psycopg-pool gunicorn   # flask
  php-cli php-fpm php-pgsql nginx openssl apache2-bin             # php, nginx
  webhook                                                       # webhook
)

# Node.js, unless the machine has another one that runs Express 5: Debian's npm conflicts with others.
install_npm() {
  if ! command -v npm > /dev/null; then install_packages nodejs npm; fi
}

# The proxies in the order of the tables, and the URL of each.
PROXIES=(flask gunicorn express php nginx apache webhook)
declare -A PROXY_URL=()
PROXY_PASSWORD=pw-$RANDOM$RANDOM$RANDOM       # the cluster does not ask for it; the cases search the logs for it

make_proxy_role() {
  psql -Xq --set=ON_ERROR_STOP=1 --set=password="$PROXY_PASSWORD" << 'SQL'
CREATE ROLE postback_proxy LOGIN PASSWORD :'password';
GRANT EXECUTE ON FUNCTION cc_receive(bytea, text, text) TO postback_proxy;
SQL
}

# The two ways to give a proxy the address of the database.
proxy_database_url() { printf 'postgresql://postback_proxy:%s@/%s?host=%s&port=%s' "$PROXY_PASSWORD" "$PGDATABASE" "$PGHOST" "$PGPORT"; }
with_variables() { exec env PGUSER=postback_proxy PGPASSWORD="$PROXY_PASSWORD" "$@"; }
with_url() { exec env -u PGHOST -u PGPORT -u PGUSER -u PGDATABASE DATABASE_URL="$(proxy_database_url)" "$@"; }
in_folder() { cd "$1"; shift; "$@"; }

# start_proxies [NAME...]
start_proxies() {
  local name port
  (( $# > 0 )) || set -- "${PROXIES[@]}"
  [[ " $* " != *" nginx "* && " $* " != *" apache "* ]] || start_php_fpm
  for name; do
    port=$(free_port)
    PROXY_URL[$name]=http://127.0.0.1:$port
    "start_$name" "$port"
  done
}

start_flask() { start_background flask "$1" with_variables PORT="$1" /usr/bin/python3 proxies/flask/app.py; }

start_gunicorn() {
  start_background gunicorn "$1" with_url /usr/bin/gunicorn --chdir proxies/flask --workers 2 --threads 8 --bind "127.0.0.1:$1" \
    --access-logfile - app:app
}

start_express() {
  [[ -d proxies/express/node_modules ]] || quietly npm npm ci --prefix proxies/express --no-audit --no-fund --no-update-notifier
  start_background express "$1" with_url PORT="$1" node proxies/express/app.js
}

start_php() {
  # Freed memory is overwritten, so PHP crashes if it uses freed memory.
  start_background php "$1" with_variables env USE_ZEND_ALLOC=0 MALLOC_PERTURB_=165 \
    php -d enable_post_data_reading=0 -d expose_php=0 -S "127.0.0.1:$1" proxies/php/postback.php
}

start_webhook() {
  start_background webhook "$1" in_folder proxies/webhook with_variables webhook -hooks hooks.yaml -urlprefix '' \
    -ip 127.0.0.1 -port "$1" -verbose
}

# adapted FILE [FROM TO]...: prints the file with each FROM, a path of a real machine, replaced by TO. Each FROM must occur.
adapted() {
  local text
  text=$(< "$1")
  shift
  while (( $# > 0 )); do
    [[ $text == *"$1"* ]] || die "Nowhere: $1"
    text=${text//"$1"/"$2"}
    shift 2
  done
  printf '%s\n' "$text"
}

start_php_fpm() {
  local folder=$CC_WORKSPACE/php-fpm program
  program=$(compgen -G '/usr/sbin/php-fpm[0-9]*' | tail -n 1)
  mkdir -p "$folder"
  {
    printf '%s\n' '[global]' 'error_log = /dev/stderr'
    # Only root may set the user of a pool.
    adapted proxies/nginx/php-fpm.conf /run/php/postback.sock "$folder/socket" \
      'postgresql://postback_proxy@/shop?host=/var/run/postgresql' "$(proxy_database_url)" | grep -vE '^(user|group|listen\.owner) '
  } > "$folder/php-fpm.conf"
  "$program" --nodaemonize --fpm-config "$folder/php-fpm.conf" > "$CC_WORKSPACE/log/php-fpm.log" 2>&1 < /dev/null &
  cc_background['php-fpm']=$!
  until_true 20 test -S "$folder/socket" || { cat "$CC_WORKSPACE/log/php-fpm.log"; die 'php-fpm does not listen'; }
}

start_nginx() {
  local folder=$CC_WORKSPACE/nginx
  mkdir -p "$folder"
  quietly openssl openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 \
    -keyout "$folder/key" -out "$folder/certificate"
  adapted proxies/nginx/postback.conf 'listen 443' "listen 127.0.0.1:$1" /srv/postback/ "$PWD/proxies/php/" \
    /etc/ssl/certs/shop.pem "$folder/certificate" /etc/ssl/private/shop.key "$folder/key" \
    /run/php/postback.sock "$CC_WORKSPACE/php-fpm/socket" rate=20r/s "rate=${NGINX_RATE:-20r/s}" > "$folder/postback.conf"
  cat > "$folder/nginx.conf" << CONF
daemon off;
pid $folder/pid;
error_log stderr;
worker_processes 2;
events { worker_connections 512; }
http {
    access_log $CC_WORKSPACE/log/nginx-access.log;
    client_body_temp_path $folder/body;
    fastcgi_temp_path $folder/fastcgi;
    proxy_temp_path $folder/proxy;
    uwsgi_temp_path $folder/uwsgi;
    scgi_temp_path $folder/scgi;
    include /etc/nginx/fastcgi_params;
    include $folder/postback.conf;
}
CONF
  sed 's|include fastcgi_params|include /etc/nginx/fastcgi_params|' -i "$folder/postback.conf"
  export CURL_CA_BUNDLE=$folder/certificate      # clients trust it
  PROXY_URL[nginx]=https://127.0.0.1:$1
  start_background nginx "$1" /usr/sbin/nginx -p "$folder" -e stderr -c "$folder/nginx.conf"
}

start_apache() {
  local folder=$CC_WORKSPACE/apache module
  mkdir -p "$folder"
  {
    for module in mpm_event authz_core alias env proxy proxy_fcgi reqtimeout; do
      printf 'LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so\n' "$module" "$module"
    done
    printf '%s\n' "Listen 127.0.0.1:$1" 'ServerName localhost' "ServerRoot $folder" "DefaultRuntimeDir $folder" "PidFile $folder/pid" \
      'ErrorLog /dev/stderr' 'LogFormat "%h %t \"%r\" %>s"' "CustomLog $CC_WORKSPACE/log/apache-access.log \"%h %t \\\"%r\\\" %>s\"" \
      "<VirtualHost 127.0.0.1:$1>"
    adapted proxies/php/apache.conf /srv/postback "$PWD/proxies/php" /run/php/postback.sock "$CC_WORKSPACE/php-fpm/socket"
    printf '%s\n' '</VirtualHost>'
  } > "$folder/apache2.conf"
  start_background apache "$1" /usr/sbin/apache2 -DFOREGROUND -d "$folder" -f "$folder/apache2.conf"
}
