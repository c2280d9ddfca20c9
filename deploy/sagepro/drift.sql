-- Do the running totals of a Sage Pro company still equal its documents? Every row of an answer is a total that does not. It only reads.
-- Plain SQL for SQL Server and PostgreSQL, in the names of a stock Sage Pro; each statement stands alone. Run it at night, before and after a change of the site.

-- Open amounts of sales orders, and what the customer is said to have on order.
SELECT 'arcust.onorder' AS what, c.custno AS at_key, c.onorder AS kept, COALESCE(o.counted, 0) AS counted
FROM arcust c LEFT JOIN (SELECT custno, SUM(ordamt) AS counted FROM somast WHERE sostat = '' AND sotype IN ('', 'O') GROUP BY custno) o ON o.custno = c.custno
WHERE c.onorder <> COALESCE(o.counted, 0);

-- Open quantities of stocked lines, and what the location is said to have allocated.
SELECT 'iciloc.lsoaloc' AS what, l.item AS at_key, l.loctid AS location, l.lsoaloc AS kept, COALESCE(t.counted, 0) AS counted
FROM iciloc l LEFT JOIN (SELECT item, loctid, SUM(qtyord) AS counted FROM sotran WHERE sostat = '' AND sotype IN ('', 'O') AND stkcode = 'Y' GROUP BY item, loctid) t
  ON t.item = l.item AND t.loctid = l.loctid
WHERE l.lsoaloc <> COALESCE(t.counted, 0);

-- Lines that are open although their order is not, and open orders of which nothing is open.
SELECT 'sotran.sostat' AS what, t.sono AS at_key, t.tranlineno AS line, m.sostat AS order_is, t.sostat AS line_is
FROM sotran t JOIN somast m ON m.sono = t.sono WHERE t.sostat = '' AND m.sostat <> '';
SELECT 'somast.sostat' AS what, m.sono AS at_key, m.ordamt AS kept
FROM somast m WHERE m.sostat = '' AND m.sotype IN ('', 'O') AND NOT EXISTS (SELECT 1 FROM sotran t WHERE t.sono = m.sono AND t.sostat = '' AND t.qtyord > 0);

-- Invoices and credit memos: what is open is what was billed less what was paid.
SELECT 'armast.balance' AS what, invno AS at_key, balance AS kept, invamt - paidamt AS counted FROM armast WHERE balance <> invamt - paidamt;

-- What was paid of an invoice is the cash that names it.
SELECT 'armast.paidamt' AS what, a.invno AS at_key, a.paidamt AS kept, COALESCE(p.counted, 0) AS counted
FROM armast a LEFT JOIN (SELECT invno, SUM(paidamt) AS counted FROM (SELECT invno, paidamt FROM arcash UNION ALL SELECT invno, paidamt FROM arycash) all_cash GROUP BY invno) p
  ON p.invno = a.invno
WHERE a.paidamt <> COALESCE(p.counted, 0);

-- What a customer owes: open documents less deposits that no invoice has taken.
SELECT 'arcust.balance' AS what, c.custno AS at_key, c.balance AS kept, COALESCE(d.counted, 0) AS counted
FROM arcust c LEFT JOIN (
  SELECT custno, SUM(amount) AS counted FROM (
    SELECT custno, balance AS amount FROM armast WHERE arstat <> 'V' UNION ALL SELECT custno, balance FROM arymst WHERE arstat <> 'V'
    UNION ALL SELECT custno, -paidamt FROM arcash WHERE invno = '   DEPOSIT' OR invno = 'DEPOSIT'
    UNION ALL SELECT custno, -paidamt FROM arycash WHERE invno = '   DEPOSIT' OR invno = 'DEPOSIT') documents GROUP BY custno) d ON d.custno = c.custno
WHERE c.balance <> COALESCE(d.counted, 0);

-- Batches of the general ledger that do not balance, or not to the totals that they show.
SELECT 'glbatch' AS what, b.batchno AS at_key, b.totdr AS debit, b.totcr AS credit, t.net AS net
FROM glbatch b JOIN (SELECT batchno, SUM(amount) AS net, SUM(CASE WHEN amount > 0 THEN amount ELSE 0 END) AS debit FROM gltran GROUP BY batchno) t ON t.batchno = b.batchno
WHERE t.net <> 0 OR b.totdr <> t.debit OR b.totdr <> b.totcr;
