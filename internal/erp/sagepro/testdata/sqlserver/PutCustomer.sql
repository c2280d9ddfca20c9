BEGIN READ COMMITTED;
SET NOCOUNT OFF; SET XACT_ABORT ON; SET LOCK_TIMEOUT 2000;
INSERT INTO cyb_xref (company, entity, extref, amount, answer, created, currid, cybtxn, erpkey, payhash, state, updated) SELECT @p1, @p2, @p3, @p4, @p5, @p6, @p7, @p8, @p9, @p10, @p11, @p12 WHERE NOT EXISTS (SELECT 1 FROM cyb_xref WITH (UPDLOCK, HOLDLOCK) WHERE company = @p13 AND entity = @p14 AND extref = @p15);
INSERT INTO cyb_xref (company, entity, extref, amount, answer, created, currid, cybtxn, erpkey, payhash, state, updated) SELECT @p1, @p2, @p3, @p4, @p5, @p6, @p7, @p8, @p9, @p10, @p11, @p12 WHERE NOT EXISTS (SELECT 1 FROM cyb_xref WITH (UPDLOCK, HOLDLOCK) WHERE company = @p13 AND entity = @p14 AND extref = @p15);
SELECT custno, company, email, currency, pterms, [limit], balance, onorder, credstat, custstat, lckstat, lckuser, lckdate, lcktime FROM arcust WITH (UPDLOCK, ROWLOCK) WHERE custno = @p1;
INSERT INTO arcust (adddate, addtime, adduser, company, currency, custno, email, lckstat) VALUES (@p1, @p2, @p3, @p4, @p5, @p6, @p7, @p8);
SELECT custno, company, email, currency, pterms, [limit], balance, onorder, credstat, custstat, lckstat, lckuser, lckdate, lcktime FROM arcust WHERE custno = @p1;
UPDATE cyb_xref SET answer = @p1, updated = @p2 WHERE company = @p3 AND entity = @p4 AND extref = @p5;
COMMIT;
