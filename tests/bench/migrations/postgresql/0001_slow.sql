-- A statement that reads it takes 20 ms.
CREATE VIEW slow AS SELECT pg_sleep(0.02)::text AS slept;
