CREATE TABLE quote_sources (quote bigint PRIMARY KEY REFERENCES quotes (id), source text NOT NULL);
ALTER TABLE quotes ADD COLUMN added_at timestamp with time zone NOT NULL DEFAULT CURRENT_TIMESTAMP;
