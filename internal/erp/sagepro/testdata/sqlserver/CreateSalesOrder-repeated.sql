BEGIN READ COMMITTED;
SET NOCOUNT OFF; SET XACT_ABORT ON; SET LOCK_TIMEOUT 2000;
INSERT INTO cyb_xref (company, entity, extref, amount, answer, created, currid, cybtxn, erpkey, payhash, state, updated) SELECT @p1, @p2, @p3, @p4, @p5, @p6, @p7, @p8, @p9, @p10, @p11, @p12 WHERE NOT EXISTS (SELECT 1 FROM cyb_xref WITH (UPDLOCK, HOLDLOCK) WHERE company = @p13 AND entity = @p14 AND extref = @p15);
SELECT entity, extref, erpkey, cybtxn, payhash, state, amount, currid, answer, updated FROM cyb_xref WHERE company = @p1 AND entity = @p2 AND extref = @p3;
COMMIT;
