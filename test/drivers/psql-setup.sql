CREATE SCHEMA sales;
CREATE TABLE customers (
  id serial PRIMARY KEY,
  name varchar(40) NOT NULL,
  email text UNIQUE,
  joined timestamptz DEFAULT now(),
  credit numeric(10,2) DEFAULT 0 CHECK (credit >= 0)
);
CREATE TABLE sales.orders (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  customer int NOT NULL,
  tags text[],
  doc jsonb,
  total double precision,
  doubled double precision GENERATED ALWAYS AS (total * 2) STORED
);
CREATE INDEX orders_customer ON sales.orders (customer, total DESC);
CREATE UNIQUE INDEX orders_total ON sales.orders (total);
CREATE SEQUENCE numbers START 5 INCREMENT 2;
COMMENT ON TABLE customers IS 'who buys';
COMMENT ON COLUMN customers.name IS 'as written on the invoice';
