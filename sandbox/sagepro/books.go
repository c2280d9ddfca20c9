package sagepro

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"
	"github.com/shopspring/decimal"
)

// books are all rows of a company at one moment, current and finished, in the order in which they came to be.
type books struct {
	orders       []order
	lines        []orderLine
	invoices     []invoice
	invoiceLines []invoiceLine
	cash         []cash
	customers    []customer
	stock        []stock
	movements    []movement
	addresses    []address
	batches      []batch
	batchLines   []batchLine
	bills        []bill
	billLines    []billLine
	xrefs        []xref
	payments     []payStatus
	accounts     map[string]string // names by code
}

// address is a row of SOADDR or SOYADR.
type address struct {
	Sono     text `db:"sono"`
	Adtype   text `db:"adtype"`
	Company  text `db:"company"`
	Address1 text `db:"address1"`
	Address2 text `db:"address2"`
	Address3 text `db:"address3"`
	City     text `db:"city"`
	State    text `db:"state"`
	Zip      text `db:"zip"`
	Country  text `db:"country"`
	Email    text `db:"email"`
	History  bool `db:"history"`
}

const addressColumns = `sono, adtype, company, address1, address2, address3, city, state, zip, country, email`

// batch is a row of GLBATCH.
type batch struct {
	Batchno  text   `db:"batchno"`
	Source   text   `db:"source"`
	Ref      text   `db:"ref"`
	Trandate day    `db:"trandate"`
	Glyear   int    `db:"glyear"`
	Glperiod int    `db:"glperiod"`
	Totdr    amount `db:"totdr"`
	Totcr    amount `db:"totcr"`
}

// batchLine is a row of GLTRAN.
type batchLine struct {
	Batchno text   `db:"batchno"`
	Seq     int    `db:"seq"`
	Glacnt  text   `db:"glacnt"`
	Ref     text   `db:"ref"`
	Descrip text   `db:"descrip"`
	Amount  amount `db:"amount"`
}

// bill is a row of APMAST.
type bill struct {
	Vendno  text   `db:"vendno"`
	Invno   text   `db:"invno"`
	Purdate day    `db:"purdate"`
	Duedate day    `db:"duedate"`
	Puramt  amount `db:"puramt"`
	Paidamt amount `db:"paidamt"`
	Ref     text   `db:"ref"`
	Apstat  text   `db:"apstat"`
}

// billLine is a row of APDIST.
type billLine struct {
	Vendno text   `db:"vendno"`
	Invno  text   `db:"invno"`
	Seq    int    `db:"seq"`
	Glacnt text   `db:"glacnt"`
	Amount amount `db:"amount"`
}

// xref is a row of the integration's cross-reference.
type xref struct {
	Entity text   `db:"entity"`
	Extref text   `db:"extref"`
	Erpkey text   `db:"erpkey"`
	Cybtxn text   `db:"cybtxn"`
	State  text   `db:"state"`
	Amount amount `db:"amount"`
	Currid text   `db:"currid"`
	Answer text   `db:"answer"`
}

// payStatus is a row of the integration's payment statuses.
type payStatus struct {
	Sono      text   `db:"sono"`
	Cybtxn    text   `db:"cybtxn"`
	Method    text   `db:"method"`
	Paystatus text   `db:"paystatus"`
	Amount    amount `db:"amount"`
	Currid    text   `db:"currid"`
	Tokenid   text   `db:"tokenid"`
	Last4     text   `db:"last4"`
}

// read reads the books of one moment.
func (s *Server) read(ctx context.Context) (*books, error) {
	tx, err := s.db.BeginTxx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: s.dialect.snapshot()})
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }() // nothing was changed
	w := &writer{ctx: ctx, tx: tx}
	b := &books{accounts: map[string]string{}}
	w.all(&b.orders, both(orderColumns, "somast", "")+" ORDER BY id_col")
	w.all(&b.lines, both(lineColumns, "sotran", "")+" ORDER BY id_col")
	w.all(&b.invoices, both(invoiceColumns, "armast", "")+" ORDER BY id_col")
	w.all(&b.invoiceLines, both(invoiceLineColumns, "artran", "")+" ORDER BY id_col")
	w.all(&b.cash, both(cashColumns, "arcash", "")+" ORDER BY id_col")
	w.all(&b.movements, both(movementColumns, "ictran", ""))
	w.all(&b.addresses, both(addressColumns, "soaddr", ""))
	w.all(&b.customers, "SELECT "+customerColumns+" FROM arcust ORDER BY id_col")
	w.all(&b.stock, "SELECT "+stockColumns+" FROM iciloc l JOIN icitem i ON i.item = l.item ORDER BY l.item, l.loctid")
	w.all(&b.batches, "SELECT batchno, source, ref, trandate, coalesce(glyear, 0) AS glyear, coalesce(glperiod, 0) AS glperiod, totdr, totcr FROM glbatch ORDER BY batchno")
	w.all(&b.batchLines, "SELECT batchno, seq, glacnt, ref, descrip, amount FROM gltran ORDER BY batchno, seq")
	w.all(&b.bills, "SELECT vendno, invno, purdate, duedate, puramt, paidamt, ref, apstat FROM apmast ORDER BY id_col")
	w.all(&b.billLines, "SELECT vendno, invno, seq, glacnt, amount FROM apdist ORDER BY vendno, invno, seq")
	w.all(&b.xrefs, "SELECT entity, extref, erpkey, cybtxn, state, amount, currid, answer FROM cyb_xref WHERE company = ? ORDER BY created, extref", s.config.Company)
	w.all(&b.payments, "SELECT sono, cybtxn, method, paystatus, amount, currid, tokenid, last4 FROM cyb_paystat WHERE company = ? ORDER BY updated", s.config.Company)
	var accounts []struct {
		Glacnt text `db:"glacnt"`
		Gldesc text `db:"gldesc"`
	}
	w.all(&accounts, "SELECT glacnt, gldesc FROM glacct")
	for _, a := range accounts {
		b.accounts[string(a.Glacnt)] = string(a.Gldesc)
	}
	return b, w.err
}

// readAll gives every row of every table as it is, without the card columns of customers.
func (s *Server) readAll(ctx context.Context) (map[string][]map[string]any, error) {
	tx, err := s.db.BeginTxx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: s.dialect.snapshot()})
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }() // nothing was changed
	all := map[string][]map[string]any{}
	for _, table := range tables(s.dialect.schema()) {
		if all[table], err = readTable(ctx, tx, table); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// cardColumns are those that nobody may touch.
var cardColumns = []string{"ccno", "cc_exp"}

func readTable(ctx context.Context, tx *sqlx.Tx, table string) ([]map[string]any, error) {
	rows, err := tx.QueryxContext(ctx, "SELECT * FROM "+table+" ORDER BY 1")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	found := []map[string]any{}
	for rows.Next() {
		r := map[string]any{}
		if err := rows.MapScan(r); err != nil {
			return nil, err
		}
		for column, value := range r {
			if raw, ok := value.([]byte); ok {
				r[column] = string(raw)
			}
		}
		for _, c := range cardColumns {
			delete(r, c)
		}
		found = append(found, r)
	}
	return found, rows.Err()
}

// index finds rows by a key without going through all of them each time.
type index struct {
	lines        map[text][]*orderLine
	orders       map[text]*order
	invoices     map[text]*invoice
	ofOrder      map[text][]invoice // invoices, no credit memos and void ones
	invoiceLines map[text][]*invoiceLine
	addresses    map[text][]*address
	paid         map[text][]*payStatus
	cost         map[string]decimal.Decimal // of what left less what came back, by document
	numbers      map[text]string            // the caller's number of an order
	waiting      map[int64]decimal.Decimal  // back-ordered quantity by line
	waitingAt    map[place]decimal.Decimal

	byPurchase    map[[2]text]text // orders by customer and PONUM
	byTransaction map[string]text  // orders by the last twenty characters of a payment's transaction
	takesBack     map[string]bool  // references of cash that takes back or applies: the integration's rows of these carry the transaction of their source
	memos         map[text]*xref   // the integration's rows of its credit memos
	paidBack      map[text]bool    // credit memos of which a refund was booked
	refunds       map[text]*xref   // what it noted of the refunds of credit memos
}

func (b *books) index() *index {
	x := &index{lines: map[text][]*orderLine{}, orders: map[text]*order{}, invoices: map[text]*invoice{}, ofOrder: map[text][]invoice{},
		invoiceLines: map[text][]*invoiceLine{}, addresses: map[text][]*address{}, paid: map[text][]*payStatus{}, cost: map[string]decimal.Decimal{},
		numbers: map[text]string{}, waiting: map[int64]decimal.Decimal{}, waitingAt: map[place]decimal.Decimal{},
		byPurchase: map[[2]text]text{}, byTransaction: map[string]text{}, takesBack: map[string]bool{}, memos: map[text]*xref{}, refunds: map[text]*xref{}, paidBack: map[text]bool{}}
	for i := range b.orders {
		x.orders[b.orders[i].Sono] = &b.orders[i]
		x.numbers[b.orders[i].Sono] = string(b.orders[i].Ponum)
		x.byPurchase[[2]text{b.orders[i].Custno, b.orders[i].Ponum}] = b.orders[i].Sono
	}
	for i := range b.lines {
		x.lines[b.lines[i].Sono] = append(x.lines[b.lines[i].Sono], &b.lines[i])
	}
	for i := range b.invoices {
		row := &b.invoices[i]
		x.invoices[row.Invno] = row
		if !row.memo() && !row.void() && row.Ornum != "" {
			x.ofOrder[row.Ornum] = append(x.ofOrder[row.Ornum], *row)
		}
	}
	for i := range b.invoiceLines {
		x.invoiceLines[b.invoiceLines[i].Invno] = append(x.invoiceLines[b.invoiceLines[i].Invno], &b.invoiceLines[i])
	}
	for i := range b.addresses {
		x.addresses[b.addresses[i].Sono] = append(x.addresses[b.addresses[i].Sono], &b.addresses[i])
	}
	for i := range b.payments {
		x.paid[b.payments[i].Sono] = append(x.paid[b.payments[i].Sono], &b.payments[i])
		if transaction := string(b.payments[i].Cybtxn); transaction != "" { // an order may have ended before there was one
			x.byTransaction[last20(transaction)] = b.payments[i].Sono
		}
	}
	for i := range b.cash {
		if c := &b.cash[i]; c.Paytype == paidReversed || c.Paytype == paidApplied {
			x.takesBack[string(c.Refno)] = true
		} else if c.Paytype == paidRefund {
			x.paidBack[c.Invno] = true
		}
	}
	for _, m := range b.movements {
		worth := m.Qty.Mul(m.Cost.Decimal)
		if m.Trantyp == "R" {
			worth = worth.Neg()
		}
		x.cost[string(m.Docno)] = x.cost[string(m.Docno)].Add(worth)
	}
	for i := range b.xrefs {
		switch r := &b.xrefs[i]; {
		case r.Entity == "order" && r.Erpkey != "":
			x.numbers[r.Erpkey] = string(r.Extref)
		case r.Entity == "creditmemo":
			x.memos[r.Erpkey] = r
		case r.Entity == "memorefund":
			x.refunds[r.Extref] = r
		}
	}
	b.backOrders(x)
	return x
}

// backOrders says how much of each open line waits for stock: older lines have theirs first.
func (b *books) backOrders(x *index) {
	left := map[place]decimal.Decimal{}
	for _, s := range b.stock {
		left[s.place()] = s.Onhand.Decimal
	}
	lines := slices.Clone(b.lines)
	slices.SortFunc(lines, func(a, c orderLine) int { return int(a.ID - c.ID) })
	for i := range lines {
		l := &lines[i]
		o := x.orders[l.Sono]
		if !l.stocked() || l.Sostat != orderOpen || o == nil || !o.takes() {
			continue
		}
		has := decimal.Max(decimal.Zero, decimal.Min(left[l.place()], l.Qtyord.Decimal))
		left[l.place()] = left[l.place()].Sub(l.Qtyord.Decimal)
		x.waiting[l.ID] = l.Qtyord.Sub(has)
		x.waitingAt[l.place()] = x.waitingAt[l.place()].Add(x.waiting[l.ID])
	}
}

// orderOf is the order number that a receipt, invoice or credit memo belongs to; "" where the books don't tell.
func (x *index) orderOf(i *invoice) string {
	if i == nil {
		return ""
	}
	if n, known := x.numbers[i.Ornum]; known && i.Ornum != "" {
		return n
	}
	return string(i.Ponum)
}

// credits gives the invoice that a credit memo credits.
func (x *index) credits(memo *invoice) string { return creditOf(memo, x.ofOrder[memo.Ornum]) }

// freight tells a line that stands for freight: it is none of the goods.
func freight(item text) bool { return strings.EqualFold(string(item), "FREIGHT") }
