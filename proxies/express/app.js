// POST /postback[/<project>]: passes the raw body to cc_receive() and sends back its answer. It parses nothing and knows no
// secret.
import express from 'express';
import pg from 'pg';

const RECEIVE = 'SELECT http_status, response::text FROM cc_receive($1::bytea, $2, $3)';

// Short timeouts, so that an answer is sent within 5 seconds whatever the database does.
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 8, connectionTimeoutMillis: 3000, keepAlive: true });
pool.on('error', () => {}); // an idle connection was lost: the pool has dropped it, and the next request opens another one

// Once more where the database says no. Repeating a postback does no harm.
const receive = (postback) => pool.query(RECEIVE, postback)
  .catch((error) => (error instanceof pg.DatabaseError ? pool.query(RECEIVE, postback) : Promise.reject(error)));

const app = express().disable('x-powered-by').disable('etag').enable('strict routing').enable('case sensitive routing');

// inflate: false answers 415 to a compressed body. type: every body is accepted, whatever its type; the database decides.
app.post('/postback{/:project}', express.raw({ type: () => true, limit: '1mb', inflate: false }), async (req, res) => {
  const postback = [req.body ?? Buffer.alloc(0), req.get('Content-Type') ?? null, req.params.project ?? 'default'];
  const { rows: [answer] } = await receive(postback); // no transaction around it: committed when this returns
  res.status(answer.http_status).type('json').send(answer.response);
});

app.all('/postback{/:project}', (req, res) => res.status(405).set('Allow', 'POST').json({ error: 'Method not allowed' }));
app.use((req, res) => res.status(404).json({ error: 'Not found' }));

const WORDS = { 404: 'Not found', 413: 'Body too large', 415: 'Unsupported content encoding' };
app.use((error, req, res, next) => { // four parameters make it the error handler
  const status = error.code === '22021' ? 404 : error.status; // 22021: a project's name that is no text
  if (status < 500) return res.status(status).set('Connection', 'close').json({ error: WORDS[status] ?? 'Bad request' });
  console.error('no answer from the database:', error.code ?? error.name); // its message may quote the body or the connection
  res.status(503).set('Retry-After', '5').json({ error: 'Service unavailable' });
});

app.listen(Number(process.env.PORT ?? 8000), process.env.HOST ?? '127.0.0.1');
