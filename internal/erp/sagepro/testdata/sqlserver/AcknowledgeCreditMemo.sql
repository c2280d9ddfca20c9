BEGIN READ COMMITTED;
SET NOCOUNT OFF; SET XACT_ABORT ON; SET LOCK_TIMEOUT 2000;
INSERT INTO cyb_xref (company, entity, extref, amount, answer, created, currid, cybtxn, erpkey, payhash, state, updated) SELECT @p1, @p2, @p3, @p4, @p5, @p6, @p7, @p8, @p9, @p10, @p11, @p12 WHERE NOT EXISTS (SELECT 1 FROM cyb_xref WITH (UPDLOCK, HOLDLOCK) WHERE company = @p13 AND entity = @p14 AND extref = @p15);
SELECT id_col, invno, custno, invdte, artype, arstat, ornum, ponum, tax, invamt, paidamt, balance, currid, sotrack, arnotes, pterms, exchrat, 0 AS moved FROM armast WITH (UPDLOCK, ROWLOCK) WHERE invno = @p1;
INSERT INTO cyb_xref (company, entity, extref, amount, answer, created, currid, cybtxn, erpkey, payhash, state, updated) SELECT @p1, @p2, @p3, @p4, @p5, @p6, @p7, @p8, @p9, @p10, @p11, @p12 WHERE NOT EXISTS (SELECT 1 FROM cyb_xref WITH (UPDLOCK, HOLDLOCK) WHERE company = @p13 AND entity = @p14 AND extref = @p15);
UPDATE armast SET arnotes = @p1 WHERE invno = @p2;
UPDATE cyb_change SET state = @p1 WHERE company = @p2 AND number = @p3 AND stream = @p4;
UPDATE cyb_xref SET answer = @p1, updated = @p2 WHERE company = @p3 AND entity = @p4 AND extref = @p5;
COMMIT;
