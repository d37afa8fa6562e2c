-- An author's id counts from 0 without gaps, and so does a quote's number among those of its author: a random
-- number finds its row by an index, however many there are. A quote's id has the order of the commits.
-- All this holds because one transaction at a time adds rows, and none is deleted: see database_store.py.
CREATE TABLE authors (
    id bigint PRIMARY KEY,
    -- The order of "C" never changes, so an upgrade of the C library does not break the index.
    name text COLLATE "C" NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 200)
);

CREATE TABLE quotes (
    id bigint PRIMARY KEY,
    author bigint NOT NULL REFERENCES authors (id),
    number bigint NOT NULL,
    text text NOT NULL CHECK (length(text) BETWEEN 1 AND 2000),
    -- SHA-256 of the text: a text of 2,000 characters is too long for an index.
    digest bytea NOT NULL CHECK (length(digest) = 32),
    UNIQUE (author, number),
    UNIQUE (author, digest)
);
