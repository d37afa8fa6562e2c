-- As in postgresql/0001_quotes.sql, which has the comments.
CREATE TABLE authors (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 200)
);

CREATE TABLE quotes (
    id INTEGER PRIMARY KEY,
    author INTEGER NOT NULL REFERENCES authors (id),
    number INTEGER NOT NULL,
    text TEXT NOT NULL CHECK (length(text) BETWEEN 1 AND 2000),
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    UNIQUE (author, number),
    UNIQUE (author, digest)
);
