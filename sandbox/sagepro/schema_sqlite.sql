-- The company's database for SQLite. It has neither lengths nor decimals: checks hold texts to the lengths of schema_postgres.sql, keys to being
-- filled up with blanks, dates to YYYY-MM-DD, and money and quantities, kept as text, to plain decimals of so many places.

-- Customers. "limit" 0 is no limit; credstat H is held; ccno and cc_exp are what old versions left behind: nobody may touch them.
CREATE TABLE IF NOT EXISTS arcust (
  id_col INTEGER PRIMARY KEY AUTOINCREMENT,
  custno TEXT NOT NULL UNIQUE CHECK (length(custno) = 6),
  company TEXT NOT NULL DEFAULT '' CHECK (length(company) <= 35),
  contact TEXT DEFAULT '' CHECK (length(contact) <= 30),
  address1 TEXT DEFAULT '' CHECK (length(address1) <= 35),
  address2 TEXT DEFAULT '' CHECK (length(address2) <= 35),
  city TEXT DEFAULT '' CHECK (length(city) <= 20),
  state TEXT DEFAULT '' CHECK (length(state) <= 10),
  zip TEXT DEFAULT '' CHECK (length(zip) <= 10),
  country TEXT DEFAULT '' CHECK (length(country) <= 15),
  phone TEXT DEFAULT '' CHECK (length(phone) <= 20),
  email TEXT,
  terr TEXT DEFAULT '' CHECK (length(terr) <= 3),
  salesmn TEXT DEFAULT '' CHECK (length(salesmn) <= 4),
  pterms TEXT DEFAULT '' CHECK (length(pterms) <= 20),
  pdisc TEXT DEFAULT '0' CHECK (pdisc NOT GLOB '*[^-0-9.]*' AND pdisc GLOB '*[0-9]*' AND pdisc NOT LIKE '%.____%'),
  pdays INTEGER DEFAULT 0,
  pnet INTEGER DEFAULT 30,
  tax TEXT DEFAULT '0' CHECK (tax NOT GLOB '*[^-0-9.]*' AND tax GLOB '*[0-9]*' AND tax NOT LIKE '%.____%'),
  disc TEXT DEFAULT '0' CHECK (disc NOT GLOB '*[^-0-9.]*' AND disc GLOB '*[0-9]*' AND disc NOT LIKE '%.____%'),
  "limit" TEXT DEFAULT '0' CHECK ("limit" NOT GLOB '*[^-0-9.]*' AND "limit" GLOB '*[0-9]*' AND "limit" NOT LIKE '%._____%'),
  balance TEXT DEFAULT '0' CHECK (balance NOT GLOB '*[^-0-9.]*' AND balance GLOB '*[0-9]*' AND balance NOT LIKE '%._____%'),
  onorder TEXT DEFAULT '0' CHECK (onorder NOT GLOB '*[^-0-9.]*' AND onorder GLOB '*[0-9]*' AND onorder NOT LIKE '%._____%'),
  lpymt TEXT DEFAULT '0' CHECK (lpymt NOT GLOB '*[^-0-9.]*' AND lpymt GLOB '*[0-9]*' AND lpymt NOT LIKE '%._____%'),
  lastpay TEXT CHECK (lastpay GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
  lsale TEXT DEFAULT '0' CHECK (lsale NOT GLOB '*[^-0-9.]*' AND lsale GLOB '*[0-9]*' AND lsale NOT LIKE '%._____%'),
  ldate TEXT CHECK (ldate GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
  gllink TEXT DEFAULT '' CHECK (length(gllink) <= 3),
  aracct TEXT DEFAULT '' CHECK (length(aracct) <= 24),
  pricecode TEXT DEFAULT '' CHECK (length(pricecode) <= 3),
  taxcode TEXT DEFAULT '' CHECK (length(taxcode) <= 6),
  currency TEXT DEFAULT 'USD' CHECK (length(currency) <= 3),
  shipvia TEXT DEFAULT '' CHECK (length(shipvia) <= 15),
  comment TEXT DEFAULT '' CHECK (length(comment) <= 65),
  credstat TEXT DEFAULT '' CHECK (length(credstat) <= 1),
  custstat TEXT DEFAULT '' CHECK (length(custstat) <= 1),
  ccno TEXT DEFAULT '' CHECK (length(ccno) <= 16),
  cc_exp TEXT DEFAULT '' CHECK (length(cc_exp) <= 4),
  adduser TEXT DEFAULT '' CHECK (length(adduser) <= 4),
  adddate TEXT CHECK (adddate GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
  addtime TEXT DEFAULT '' CHECK (length(addtime) <= 8),
  lckstat TEXT DEFAULT '' CHECK (length(lckstat) <= 1),
  lckuser TEXT DEFAULT '' CHECK (length(lckuser) <= 4),
  lckdate TEXT CHECK (lckdate GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
  lcktime TEXT DEFAULT '' CHECK (length(lcktime) <= 8)
);

-- Ship-to addresses of customers.
CREATE TABLE IF NOT EXISTS arcadr (
  custno TEXT NOT NULL CHECK (length(custno) = 6),
  cshipno TEXT NOT NULL CHECK (length(cshipno) <= 6),
  defaship TEXT DEFAULT '' CHECK (length(defaship) <= 1),
  company TEXT DEFAULT '' CHECK (length(company) <= 35),
  contact TEXT DEFAULT '' CHECK (length(contact) <= 30),
  address1 TEXT DEFAULT '' CHECK (length(address1) <= 35),
  address2 TEXT DEFAULT '' CHECK (length(address2) <= 35),
  address3 TEXT DEFAULT '' CHECK (length(address3) <= 35),
  city TEXT DEFAULT '' CHECK (length(city) <= 20),
  state TEXT DEFAULT '' CHECK (length(state) <= 10),
  zip TEXT DEFAULT '' CHECK (length(zip) <= 10),
  country TEXT DEFAULT '' CHECK (length(country) <= 15),
  email TEXT DEFAULT '' CHECK (length(email) <= 100),
  shipvia TEXT DEFAULT '' CHECK (length(shipvia) <= 15),
  PRIMARY KEY (custno, cshipno)
);

-- Sales orders: sostat blank open, C closed, X cancelled, V void. ordamt is what is still open, tax included; shpamt what was invoiced.
CREATE TABLE IF NOT EXISTS somast (
  id_col INTEGER PRIMARY KEY AUTOINCREMENT,
  sono TEXT NOT NULL UNIQUE CHECK (length(sono) = 10),
  custno TEXT NOT NULL CHECK (length(custno) = 6),
  sodate TEXT NOT NULL CHECK (sodate GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
  ordate TEXT CHECK (ordate GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
  ponum TEXT DEFAULT '' CHECK (length(ponum) <= 20),
  ornum TEXT DEFAULT '' CHECK (length(ornum) IN (0, 10)),
  shipvia TEXT DEFAULT '' CHECK (length(shipvia) <= 15),
  fob TEXT DEFAULT '' CHECK (length(fob) <= 15),
  cshipno TEXT DEFAULT '' CHECK (length(cshipno) <= 6),
  pterms TEXT DEFAULT '' CHECK (length(pterms) <= 20),
  taxrate TEXT DEFAULT '0' CHECK (taxrate NOT GLOB '*[^-0-9.]*' AND taxrate GLOB '*[0-9]*' AND taxrate NOT LIKE '%.____%'),
  tax TEXT DEFAULT '0' CHECK (tax NOT GLOB '*[^-0-9.]*' AND tax GLOB '*[0-9]*' AND tax NOT LIKE '%._____%'),
  taxsamt TEXT DEFAULT '0' CHECK (taxsamt NOT GLOB '*[^-0-9.]*' AND taxsamt GLOB '*[0-9]*' AND taxsamt NOT LIKE '%._____%'),
  ordamt TEXT DEFAULT '0' CHECK (ordamt NOT GLOB '*[^-0-9.]*' AND ordamt GLOB '*[0-9]*' AND ordamt NOT LIKE '%._____%'),
  shpamt TEXT DEFAULT '0' CHECK (shpamt NOT GLOB '*[^-0-9.]*' AND shpamt GLOB '*[0-9]*' AND shpamt NOT LIKE '%._____%'),
  disc TEXT DEFAULT '0' CHECK (disc NOT GLOB '*[^-0-9.]*' AND disc GLOB '*[0-9]*' AND disc NOT LIKE '%.____%'),
  sostat TEXT DEFAULT '' CHECK (length(sostat) <= 1),
  sotype TEXT DEFAULT '' CHECK (length(sotype) <= 1),
  salesmn TEXT DEFAULT '' CHECK (length(salesmn) <= 4),
  terr TEXT DEFAULT '' CHECK (length(terr) <= 3),
  glarec TEXT DEFAULT '' CHECK (length(glarec) <= 24),
  loctid TEXT DEFAULT '' CHECK (length(loctid) IN (0, 3)),
  currid TEXT DEFAULT 'USD' CHECK (length(currid) <= 3),
  exchrat TEXT DEFAULT '1' CHECK (exchrat NOT GLOB '*[^-0-9.]*' AND exchrat GLOB '*[0-9]*' AND exchrat NOT LIKE '%._______%'),
  sotrack TEXT DEFAULT '' CHECK (length(sotrack) <= 40),
  orderstat TEXT DEFAULT '' CHECK (length(orderstat) <= 10),
  adduser TEXT DEFAULT '' CHECK (length(adduser) <= 4),
  adddate TEXT CHECK (adddate GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
  addtime TEXT DEFAULT '' CHECK (length(addtime) <= 8),
  lckstat TEXT DEFAULT '' CHECK (length(lckstat) <= 1),
  lckuser TEXT DEFAULT '' CHECK (length(lckuser) <= 4),
  lckdate TEXT CHECK (lckdate GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
  lcktime TEXT DEFAULT '' CHECK (length(lcktime) <= 8),
  CHECK (sostat IN ('', 'C', 'V', 'X')),
  CHECK (sotype IN ('', 'O', 'B', 'R'))
);

-- Lines of sales orders: qtyord is what is still open, origqtyord what was ordered. extprice stays that of the whole line.
CREATE TABLE IF NOT EXISTS sotran (
  id_col INTEGER PRIMARY KEY AUTOINCREMENT,
  sono TEXT NOT NULL CHECK (length(sono) = 10),
  tranlineno INTEGER NOT NULL,
  custno TEXT NOT NULL CHECK (length(custno) = 6),
  item TEXT NOT NULL CHECK (length(item) = 15),
  descrip TEXT DEFAULT '' CHECK (length(descrip) <= 35),
  price TEXT DEFAULT '0' CHECK (price NOT GLOB '*[^-0-9.]*' AND price GLOB '*[0-9]*' AND price NOT LIKE '%._____%'),
  cost TEXT DEFAULT '0' CHECK (cost NOT GLOB '*[^-0-9.]*' AND cost GLOB '*[0-9]*' AND cost NOT LIKE '%._____%'),
  disc TEXT DEFAULT '0' CHECK (disc NOT GLOB '*[^-0-9.]*' AND disc GLOB '*[0-9]*' AND disc NOT LIKE '%.____%'),
  qtyord TEXT DEFAULT '0' CHECK (qtyord NOT GLOB '*[^-0-9.]*' AND qtyord GLOB '*[0-9]*' AND qtyord NOT LIKE '%._____%'),
  origqtyord TEXT DEFAULT '0' CHECK (origqtyord NOT GLOB '*[^-0-9.]*' AND origqtyord GLOB '*[0-9]*' AND origqtyord NOT LIKE '%._____%'),
  qtyshp TEXT DEFAULT '0' CHECK (qtyshp NOT GLOB '*[^-0-9.]*' AND qtyshp GLOB '*[0-9]*' AND qtyshp NOT LIKE '%._____%'),
  extprice TEXT DEFAULT '0' CHECK (extprice NOT GLOB '*[^-0-9.]*' AND extprice GLOB '*[0-9]*' AND extprice NOT LIKE '%._____%'),
  taxable TEXT DEFAULT 'Y' CHECK (length(taxable) <= 1),
  taxrate TEXT DEFAULT '0' CHECK (taxrate NOT GLOB '*[^-0-9.]*' AND taxrate GLOB '*[0-9]*' AND taxrate NOT LIKE '%.____%'),
  ordate TEXT CHECK (ordate GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
  rqdate TEXT CHECK (rqdate GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
  shipdate TEXT CHECK (shipdate GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
  sostat TEXT DEFAULT '' CHECK (length(sostat) <= 1),
  sotype TEXT DEFAULT '' CHECK (length(sotype) <= 1),
  stkcode TEXT DEFAULT 'Y' CHECK (length(stkcode) <= 1),
  loctid TEXT DEFAULT '' CHECK (length(loctid) IN (0, 3)),
  glsale TEXT DEFAULT '' CHECK (length(glsale) <= 24),
  glasst TEXT DEFAULT '' CHECK (length(glasst) <= 24),
  umeasur TEXT DEFAULT 'EA' CHECK (length(umeasur) <= 4),
  adduser TEXT DEFAULT '' CHECK (length(adduser) <= 4),
  adddate TEXT CHECK (adddate GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
  addtime TEXT DEFAULT '' CHECK (length(addtime) <= 8),
  UNIQUE (sono, tranlineno),
  CHECK (sostat IN ('', 'C', 'V', 'X')),
  CHECK (stkcode IN ('Y', 'N')),
  CHECK (taxable IN ('Y', 'N'))
);

-- Addresses of sales orders: adtype S ship-to, B bill-to.
CREATE TABLE IF NOT EXISTS soaddr (
  sono TEXT NOT NULL CHECK (length(sono) = 10),
  custno TEXT CHECK (length(custno) IN (0, 6)),
  adtype TEXT NOT NULL DEFAULT 'S' CHECK (length(adtype) <= 1),
  company TEXT CHECK (length(company) <= 35),
  address1 TEXT CHECK (length(address1) <= 35),
  address2 TEXT CHECK (length(address2) <= 35),
  address3 TEXT CHECK (length(address3) <= 35),
  city TEXT CHECK (length(city) <= 20),
  state TEXT CHECK (length(state) <= 10),
  zip TEXT CHECK (length(zip) <= 10),
  country TEXT CHECK (length(country) <= 15),
  email TEXT CHECK (length(email) <= 100),
  PRIMARY KEY (sono, adtype)
);

-- Comment lines of sales orders.
CREATE TABLE IF NOT EXISTS socomm (
  sono TEXT NOT NULL CHECK (length(sono) = 10),
  seq INTEGER NOT NULL,
  comment TEXT NOT NULL DEFAULT '' CHECK (length(comment) <= 65),
  PRIMARY KEY (sono, seq)
);

-- Items.
CREATE TABLE IF NOT EXISTS icitem (
  item TEXT NOT NULL CHECK (length(item) = 15),
  itmdesc TEXT CHECK (length(itmdesc) <= 35),
  price TEXT CHECK (price NOT GLOB '*[^-0-9.]*' AND price GLOB '*[0-9]*' AND price NOT LIKE '%._____%'),
  avgcost TEXT CHECK (avgcost NOT GLOB '*[^-0-9.]*' AND avgcost GLOB '*[0-9]*' AND avgcost NOT LIKE '%._____%'),
  stkcode TEXT DEFAULT 'Y' CHECK (length(stkcode) <= 1),
  taxcode TEXT DEFAULT '' CHECK (length(taxcode) <= 6),
  stkumid TEXT DEFAULT 'EA' CHECK (length(stkumid) <= 4),
  ionhand TEXT DEFAULT '0' CHECK (ionhand NOT GLOB '*[^-0-9.]*' AND ionhand GLOB '*[0-9]*' AND ionhand NOT LIKE '%._____%'),
  PRIMARY KEY (item)
);

-- Items in their locations: on hand, allocated to open orders, on order.
CREATE TABLE IF NOT EXISTS iciloc (
  item TEXT NOT NULL CHECK (length(item) = 15),
  loctid TEXT NOT NULL CHECK (length(loctid) = 3),
  lonhand TEXT NOT NULL DEFAULT '0' CHECK (lonhand NOT GLOB '*[^-0-9.]*' AND lonhand GLOB '*[0-9]*' AND lonhand NOT LIKE '%._____%'),
  lsoaloc TEXT NOT NULL DEFAULT '0' CHECK (lsoaloc NOT GLOB '*[^-0-9.]*' AND lsoaloc GLOB '*[0-9]*' AND lsoaloc NOT LIKE '%._____%'),
  lonordr TEXT NOT NULL DEFAULT '0' CHECK (lonordr NOT GLOB '*[^-0-9.]*' AND lonordr GLOB '*[0-9]*' AND lonordr NOT LIKE '%._____%'),
  PRIMARY KEY (item, loctid)
);

-- Movements of stock: R in, I out; tqty is above zero. docno is the invoice, the credit memo or the count, orgno the sales order.
CREATE TABLE IF NOT EXISTS ictran (
  id_col INTEGER PRIMARY KEY AUTOINCREMENT,
  ttranno TEXT NOT NULL CHECK (length(ttranno) <= 10),
  trantyp TEXT NOT NULL CHECK (length(trantyp) <= 1),
  item TEXT NOT NULL CHECK (length(item) = 15),
  loctid TEXT NOT NULL CHECK (length(loctid) = 3),
  tdate TEXT NOT NULL CHECK (tdate GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
  tqty TEXT NOT NULL CHECK (tqty NOT GLOB '*[^-0-9.]*' AND tqty GLOB '*[0-9]*' AND tqty NOT LIKE '%._____%'),
  tcost TEXT DEFAULT '0' CHECK (tcost NOT GLOB '*[^-0-9.]*' AND tcost GLOB '*[0-9]*' AND tcost NOT LIKE '%._____%'),
  docno TEXT DEFAULT '' CHECK (length(docno) <= 20),
  orgno TEXT DEFAULT '' CHECK (length(orgno) <= 20),
  CHECK (tqty NOT LIKE '-%' AND tqty GLOB '*[1-9]*'),
  CHECK (trantyp IN ('R', 'I'))
);

-- Invoices, and credit memos (artype C) whose amounts are negative. balance = invamt - paidamt.
CREATE TABLE IF NOT EXISTS armast (
  id_col INTEGER PRIMARY KEY AUTOINCREMENT,
  invno TEXT NOT NULL UNIQUE CHECK (length(invno) = 10),
  custno TEXT NOT NULL CHECK (length(custno) = 6),
  invdte TEXT NOT NULL CHECK (invdte GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
  artype TEXT DEFAULT '' CHECK (length(artype) <= 1),
  arstat TEXT DEFAULT '' CHECK (length(arstat) <= 1),
  ornum TEXT DEFAULT '' CHECK (length(ornum) IN (0, 10)),
  ponum TEXT DEFAULT '' CHECK (length(ponum) <= 20),
  pterms TEXT DEFAULT '' CHECK (length(pterms) <= 20),
  tax TEXT DEFAULT '0' CHECK (tax NOT GLOB '*[^-0-9.]*' AND tax GLOB '*[0-9]*' AND tax NOT LIKE '%._____%'),
  invamt TEXT NOT NULL CHECK (invamt NOT GLOB '*[^-0-9.]*' AND invamt GLOB '*[0-9]*' AND invamt NOT LIKE '%._____%'),
  paidamt TEXT DEFAULT '0' CHECK (paidamt NOT GLOB '*[^-0-9.]*' AND paidamt GLOB '*[0-9]*' AND paidamt NOT LIKE '%._____%'),
  balance TEXT NOT NULL CHECK (balance NOT GLOB '*[^-0-9.]*' AND balance GLOB '*[0-9]*' AND balance NOT LIKE '%._____%'),
  currid TEXT DEFAULT 'USD' CHECK (length(currid) <= 3),
  exchrat TEXT DEFAULT '1' CHECK (exchrat NOT GLOB '*[^-0-9.]*' AND exchrat GLOB '*[0-9]*' AND exchrat NOT LIKE '%._______%'),
  sotrack TEXT DEFAULT '' CHECK (length(sotrack) <= 40),
  arnotes TEXT DEFAULT '' CHECK (length(arnotes) <= 200),
  adduser TEXT DEFAULT '' CHECK (length(adduser) <= 4),
  adddate TEXT CHECK (adddate GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
  addtime TEXT DEFAULT '' CHECK (length(addtime) <= 8),
  CHECK (artype IN ('', 'C')),
  CHECK (arstat IN ('', 'V'))
);

-- Lines of invoices and credit memos.
CREATE TABLE IF NOT EXISTS artran (
  id_col INTEGER PRIMARY KEY AUTOINCREMENT,
  invno TEXT NOT NULL CHECK (length(invno) = 10),
  sono TEXT DEFAULT '' CHECK (length(sono) IN (0, 10)),
  tranlineno INTEGER,
  custno TEXT CHECK (length(custno) IN (0, 6)),
  item TEXT CHECK (length(item) IN (0, 15)),
  descrip TEXT CHECK (length(descrip) <= 35),
  qtyord TEXT CHECK (qtyord NOT GLOB '*[^-0-9.]*' AND qtyord GLOB '*[0-9]*' AND qtyord NOT LIKE '%._____%'),
  qtyshp TEXT CHECK (qtyshp NOT GLOB '*[^-0-9.]*' AND qtyshp GLOB '*[0-9]*' AND qtyshp NOT LIKE '%._____%'),
  price TEXT CHECK (price NOT GLOB '*[^-0-9.]*' AND price GLOB '*[0-9]*' AND price NOT LIKE '%._____%'),
  cost TEXT CHECK (cost NOT GLOB '*[^-0-9.]*' AND cost GLOB '*[0-9]*' AND cost NOT LIKE '%._____%'),
  extprice TEXT CHECK (extprice NOT GLOB '*[^-0-9.]*' AND extprice GLOB '*[0-9]*' AND extprice NOT LIKE '%._____%'),
  artype TEXT DEFAULT '' CHECK (length(artype) <= 1),
  invdte TEXT CHECK (invdte GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
  taxable TEXT CHECK (length(taxable) <= 1)
);

-- Cash by invoice. invno DEPOSIT is money that no invoice took yet: the sum of these rows is what is left of it. paytype: R receipt, D deposit,
-- A deposit applied (a row below zero on DEPOSIT, one above on the invoice), C credit set off (above zero on the invoice, below on the credit memo),
-- F refund (below zero on the credit memo), V reversal (the rows that it takes back, with the other sign).
CREATE TABLE IF NOT EXISTS arcash (
  id_col INTEGER PRIMARY KEY AUTOINCREMENT,
  custno TEXT NOT NULL CHECK (length(custno) = 6),
  invno TEXT NOT NULL CHECK (length(invno) = 10),
  dtepaid TEXT NOT NULL CHECK (dtepaid GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
  paidamt TEXT NOT NULL CHECK (paidamt NOT GLOB '*[^-0-9.]*' AND paidamt GLOB '*[0-9]*' AND paidamt NOT LIKE '%._____%'),
  disc TEXT DEFAULT '0' CHECK (disc NOT GLOB '*[^-0-9.]*' AND disc GLOB '*[0-9]*' AND disc NOT LIKE '%._____%'),
  refno TEXT NOT NULL CHECK (length(refno) <= 20),
  paytype TEXT DEFAULT 'R' CHECK (length(paytype) <= 1),
  bankacct TEXT DEFAULT '' CHECK (length(bankacct) <= 24),
  currid TEXT DEFAULT 'USD' CHECK (length(currid) <= 3),
  ponum TEXT DEFAULT '' CHECK (length(ponum) <= 20),
  adduser TEXT DEFAULT '' CHECK (length(adduser) <= 4),
  adddate TEXT CHECK (adddate GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
  addtime TEXT DEFAULT '' CHECK (length(addtime) <= 8)
);

-- Vendors.
CREATE TABLE IF NOT EXISTS apvend (
  vendno TEXT NOT NULL CHECK (length(vendno) = 6),
  company TEXT CHECK (length(company) <= 35),
  PRIMARY KEY (vendno)
);

-- Vendors' invoices.
CREATE TABLE IF NOT EXISTS apmast (
  id_col INTEGER PRIMARY KEY AUTOINCREMENT,
  vendno TEXT NOT NULL CHECK (length(vendno) = 6),
  invno TEXT NOT NULL CHECK (length(invno) <= 20),
  purdate TEXT CHECK (purdate GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
  duedate TEXT CHECK (duedate GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
  puramt TEXT CHECK (puramt NOT GLOB '*[^-0-9.]*' AND puramt GLOB '*[0-9]*' AND puramt NOT LIKE '%._____%'),
  paidamt TEXT DEFAULT '0' CHECK (paidamt NOT GLOB '*[^-0-9.]*' AND paidamt GLOB '*[0-9]*' AND paidamt NOT LIKE '%._____%'),
  ref TEXT CHECK (length(ref) <= 20),
  apstat TEXT DEFAULT '' CHECK (length(apstat) <= 1),
  adduser TEXT CHECK (length(adduser) <= 4),
  UNIQUE (vendno, invno)
);

-- Accounts of vendors' invoices.
CREATE TABLE IF NOT EXISTS apdist (
  vendno TEXT NOT NULL CHECK (length(vendno) = 6),
  invno TEXT NOT NULL CHECK (length(invno) <= 20),
  seq INTEGER NOT NULL,
  glacnt TEXT NOT NULL CHECK (length(glacnt) = 24),
  amount TEXT NOT NULL CHECK (amount NOT GLOB '*[^-0-9.]*' AND amount GLOB '*[0-9]*' AND amount NOT LIKE '%._____%'),
  PRIMARY KEY (vendno, invno, seq)
);

-- Chart of accounts.
CREATE TABLE IF NOT EXISTS glacct (
  glacnt TEXT NOT NULL CHECK (length(glacnt) = 24),
  gldesc TEXT CHECK (length(gldesc) <= 53),
  acttype TEXT CHECK (length(acttype) <= 1),
  active TEXT DEFAULT 'Y' CHECK (length(active) <= 1),
  PRIMARY KEY (glacnt)
);

-- Batches of the general ledger, O open, P posted.
CREATE TABLE IF NOT EXISTS glbatch (
  batchno TEXT NOT NULL CHECK (length(batchno) = 10),
  source TEXT CHECK (length(source) <= 2),
  ref TEXT NOT NULL UNIQUE CHECK (length(ref) <= 20),
  trandate TEXT NOT NULL CHECK (trandate GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
  glyear INTEGER,
  glperiod INTEGER,
  status TEXT DEFAULT 'O' CHECK (length(status) <= 1),
  totdr TEXT CHECK (totdr NOT GLOB '*[^-0-9.]*' AND totdr GLOB '*[0-9]*' AND totdr NOT LIKE '%._____%'),
  totcr TEXT CHECK (totcr NOT GLOB '*[^-0-9.]*' AND totcr GLOB '*[0-9]*' AND totcr NOT LIKE '%._____%'),
  adduser TEXT DEFAULT '' CHECK (length(adduser) <= 4),
  adddate TEXT CHECK (adddate GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
  addtime TEXT DEFAULT '' CHECK (length(addtime) <= 8),
  PRIMARY KEY (batchno)
);

-- Lines of batches: debits positive, credits negative.
CREATE TABLE IF NOT EXISTS gltran (
  batchno TEXT NOT NULL CHECK (length(batchno) = 10),
  seq INTEGER NOT NULL,
  glacnt TEXT NOT NULL CHECK (length(glacnt) = 24),
  trandate TEXT CHECK (trandate GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
  ref TEXT CHECK (length(ref) <= 20),
  descrip TEXT CHECK (length(descrip) <= 40),
  amount TEXT NOT NULL CHECK (amount NOT GLOB '*[^-0-9.]*' AND amount GLOB '*[0-9]*' AND amount NOT LIKE '%._____%'),
  PRIMARY KEY (batchno, seq)
);

-- Next numbers by module and company.
CREATE TABLE IF NOT EXISTS sycnext (
  sysid TEXT NOT NULL CHECK (length(sysid) <= 4),
  keyname TEXT NOT NULL CHECK (length(keyname) <= 12),
  nextval INTEGER NOT NULL,
  PRIMARY KEY (sysid, keyname)
);

-- Posting periods by module and company.
CREATE TABLE IF NOT EXISTS sycperd (
  sysid TEXT NOT NULL CHECK (length(sysid) <= 4),
  glyear INTEGER NOT NULL,
  glperiod INTEGER NOT NULL,
  startdt TEXT CHECK (startdt GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
  enddt TEXT CHECK (enddt GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
  isopen TEXT CHECK (length(isopen) <= 1),
  PRIMARY KEY (sysid, glyear, glperiod)
);

-- Exchange rates: what one unit of a currency costs in the company's own, from that day on.
CREATE TABLE IF NOT EXISTS sycrate (
  currid TEXT NOT NULL CHECK (length(currid) <= 3),
  ratedate TEXT NOT NULL CHECK (ratedate GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
  rate TEXT NOT NULL CHECK (rate NOT GLOB '*[^-0-9.]*' AND rate GLOB '*[0-9]*' AND rate NOT LIKE '%._______%'),
  PRIMARY KEY (currid, ratedate)
);

-- Here stand the history tables, which the period close moves rows to: made of the tables that the rows come from.

-- Side tables of the integration. They are no part of the ERP; the sandbox brings its own copy, so that it stands alone.
CREATE TABLE IF NOT EXISTS cyb_xref (
  company TEXT NOT NULL CHECK (length(company) <= 2),
  entity TEXT NOT NULL CHECK (length(entity) <= 16),
  extref TEXT NOT NULL CHECK (length(extref) <= 64),
  erpkey TEXT CHECK (length(erpkey) <= 40),
  cybtxn TEXT CHECK (length(cybtxn) <= 26),
  payhash TEXT CHECK (length(payhash) <= 64),
  state TEXT CHECK (length(state) <= 12),
  amount TEXT CHECK (amount NOT GLOB '*[^-0-9.]*' AND amount GLOB '*[0-9]*' AND amount NOT LIKE '%._____%'),
  currid TEXT CHECK (length(currid) <= 3),
  answer TEXT,
  created TEXT,
  updated TEXT,
  PRIMARY KEY (company, entity, extref)
);

CREATE TABLE IF NOT EXISTS cyb_paystat (
  company TEXT NOT NULL CHECK (length(company) <= 2),
  sono TEXT NOT NULL CHECK (length(sono) = 10),
  cybtxn TEXT NOT NULL CHECK (length(cybtxn) <= 26),
  method TEXT CHECK (length(method) <= 12),
  paystatus TEXT CHECK (length(paystatus) <= 20),
  amount TEXT CHECK (amount NOT GLOB '*[^-0-9.]*' AND amount GLOB '*[0-9]*' AND amount NOT LIKE '%._____%'),
  currid TEXT CHECK (length(currid) <= 3),
  tokenid TEXT CHECK (length(tokenid) <= 40),
  last4 TEXT CHECK (length(last4) <= 4),
  updated TEXT,
  PRIMARY KEY (company, sono, cybtxn)
);

CREATE TABLE IF NOT EXISTS cyb_watermark (
  company TEXT NOT NULL CHECK (length(company) <= 2),
  stream TEXT NOT NULL CHECK (length(stream) <= 24),
  lastid INTEGER,
  lastdate TEXT CHECK (lastdate GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
  lasttime TEXT CHECK (length(lasttime) <= 8),
  PRIMARY KEY (company, stream)
);

CREATE TABLE IF NOT EXISTS cyb_change (
  company TEXT NOT NULL CHECK (length(company) <= 2),
  stream TEXT NOT NULL CHECK (length(stream) <= 24),
  number TEXT NOT NULL CHECK (length(number) <= 40),
  print TEXT CHECK (length(print) <= 64),
  changed TEXT,
  state TEXT CHECK (length(state) <= 12),
  PRIMARY KEY (company, stream, number)
);

-- The sandbox's own: modules whose periods people set, so that they follow the clock no more.
CREATE TABLE IF NOT EXISTS sandbox_pin (
  sysid TEXT NOT NULL CHECK (length(sysid) <= 4),
  PRIMARY KEY (sysid)
);

CREATE INDEX IF NOT EXISTS somast_custno ON somast (custno);
CREATE INDEX IF NOT EXISTS somast_ponum ON somast (ponum);
CREATE INDEX IF NOT EXISTS soymst_ponum ON soymst (ponum);
CREATE INDEX IF NOT EXISTS sotran_item ON sotran (item, loctid);
CREATE INDEX IF NOT EXISTS soytrn_sono ON soytrn (sono);
CREATE INDEX IF NOT EXISTS armast_custno ON armast (custno);
CREATE INDEX IF NOT EXISTS armast_ornum ON armast (ornum);
CREATE INDEX IF NOT EXISTS arymst_ornum ON arymst (ornum);
CREATE INDEX IF NOT EXISTS artran_invno ON artran (invno);
CREATE INDEX IF NOT EXISTS arytrn_invno ON arytrn (invno);
CREATE INDEX IF NOT EXISTS artran_sono ON artran (sono);
CREATE INDEX IF NOT EXISTS arytrn_sono ON arytrn (sono);
CREATE INDEX IF NOT EXISTS arcash_invno ON arcash (invno);
CREATE INDEX IF NOT EXISTS arycash_invno ON arycash (invno);
CREATE INDEX IF NOT EXISTS arcash_refno ON arcash (refno);
CREATE INDEX IF NOT EXISTS arycash_refno ON arycash (refno);
CREATE INDEX IF NOT EXISTS ictran_item ON ictran (item, loctid);
CREATE INDEX IF NOT EXISTS cyb_xref_erpkey ON cyb_xref (company, entity, erpkey);
CREATE INDEX IF NOT EXISTS cyb_change_order ON cyb_change (company, stream, changed, number);

-- What this site's people had put into the database: items that can't be ordered, invoiced or paid, for those who want to see it.
CREATE TRIGGER IF NOT EXISTS sotran_site_rule BEFORE INSERT ON sotran WHEN trim(NEW.item) = 'FAIL422'
BEGIN SELECT RAISE(ABORT, 'site rule: item FAIL422 can not be ordered'); END;
CREATE TRIGGER IF NOT EXISTS artran_site_rule BEFORE INSERT ON artran WHEN trim(NEW.item) = 'FAILINV'
BEGIN SELECT RAISE(ABORT, 'site rule: item FAILINV can not be invoiced'); END;
CREATE TRIGGER IF NOT EXISTS arcash_site_rule BEFORE INSERT ON arcash
WHEN NEW.paidamt NOT LIKE '-%' AND NEW.paytype <> 'C' AND EXISTS (SELECT 1 FROM artran WHERE artran.invno = NEW.invno AND trim(artran.item) = 'FAILPAY')
BEGIN SELECT RAISE(ABORT, 'site rule: item FAILPAY can not be paid'); END;
