SELECT entity, extref, erpkey, cybtxn, payhash, state, amount, currid, answer, updated FROM cyb_xref WHERE company = @p1 AND entity = @p2 AND extref = @p3;
SELECT custno, company, email, currency, pterms, [limit], balance, onorder, credstat, custstat, lckstat, lckuser, lckdate, lcktime FROM arcust WHERE custno = @p1;
