<?php
// POST /postback[/<project>]: passes the raw body to cc_receive() and sends back its answer. It parses nothing and knows no
// secret.
declare(strict_types=1);

const LIMIT = 1024 * 1024;
const RECEIVE = 'SELECT http_status, response::text FROM cc_receive($1::bytea, $2, $3)';

ini_set('pgsql.ignore_notice', '1'); // PHP would note what a server says at its end in memory of an earlier request, and crash
getenv('PGCONNECT_TIMEOUT') || putenv('PGCONNECT_TIMEOUT=3'); // an answer within 5 seconds, whatever the database does

function answer(int $status, string $json, string ...$headers): never
{
    http_response_code($status);
    array_map('header', ['Content-Type: application/json', 'Content-Length: ' . strlen($json), ...$headers]);
    exit($json);
}

// The @ keeps libpq's messages out of the log: they may quote the connection string or the postback.
function receive(string $body, ?string $contentType, string $project): array|false
{
    $db = @pg_pconnect(getenv('DATABASE_URL') ?: ''); // persistent: one connection a worker process
    $postback = ['\x' . bin2hex($body), $contentType, $project];
    $result = $db ? @pg_query_params($db, RECEIVE, $postback) : false; // no transaction around it: committed when this returns
    if ($db && !$result && @pg_ping($db)) { // which makes a new connection if this one was from before a restart
        $result = @pg_query_params($db, RECEIVE, $postback); // once more: repeating a postback does no harm
    }
    return $result ? pg_fetch_row($result) : false;
}

$path = rawurldecode(strtok($_SERVER['REQUEST_URI'], '?'));
preg_match('#^/postback(?:/([^/\0]+))?$#Du', $path, $match) || answer(404, '{"error":"Not found"}');
$_SERVER['REQUEST_METHOD'] === 'POST' || answer(405, '{"error":"Method not allowed"}', 'Allow: POST');
($_SERVER['HTTP_CONTENT_ENCODING'] ?? 'identity') === 'identity' || answer(415, '{"error":"Unsupported content encoding"}');
$body = file_get_contents('php://input', length: LIMIT + 1);
strlen($body) <= LIMIT || answer(413, '{"error":"Body too large"}');
strlen($body) >= (int) ($_SERVER['CONTENT_LENGTH'] ?? 0) || answer(400, '{"error":"Bad request"}'); // the client broke off
// Header bytes beyond ASCII are read as Latin-1, as everywhere in HTTP, so that the database gets text.
$contentType = iconv('ISO-8859-1', 'UTF-8', $_SERVER['CONTENT_TYPE'] ?? '') ?: null;
$row = receive($body, $contentType, $match[1] ?? 'default');
if (!$row) {
    error_log('no answer from the database');
    answer(503, '{"error":"Service unavailable"}', 'Retry-After: 5');
}
answer((int) $row[0], $row[1]);
