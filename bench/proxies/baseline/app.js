// The documented way: token, fields and SQL in the web tier. The baseline for proxies/express.
import express from 'express';
import jwt from 'jsonwebtoken';
import pg from 'pg';

const STORE = `INSERT INTO baseline (invoice_id, order_id, status, amount_crypto, currency, info) VALUES ($1, $2, $3, $4, $5, $6)
               ON CONFLICT (invoice_id) DO NOTHING`;
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 8 });
const app = express().disable('x-powered-by').disable('etag');

app.post('/postback', express.json({ limit: '1mb' }), async ({ body }, res) => {
  try {
    jwt.verify(body.token, process.env.SECRET, { algorithms: ['HS256'] });
  } catch {
    return res.status(401).json({ error: 'Invalid token' });
  }
  await pool.query(STORE, [body.invoice_id, body.order_id, body.status, body.amount_crypto, body.currency, body.invoice_info]);
  res.json({ message: 'Postback received' });
});

app.listen(Number(process.env.PORT), '127.0.0.1');
