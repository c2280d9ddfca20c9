package sagepro

import (
	"cmp"
	"strings"
)

// Statuses of sales orders and how this site marks those that wait.
const (
	orderOpen      = ""
	orderClosed    = "C"
	orderCancelled = "X"
	orderVoid      = "V"

	markHeld  = "HOLD"
	markReady = "READY"
)

// Types of ARMAST and ARCASH.
const (
	typeInvoice = ""
	typeMemo    = "C"

	paidReceipt  = "R"
	paidDeposit  = "D"
	paidApplied  = "A"
	paidSetOff   = "C"
	paidRefund   = "F"
	paidReversed = "V"

	depositInvoice = "DEPOSIT"
)

// order is a row of SOMAST or SOYMST.
type order struct {
	ID        int64  `db:"id_col"`
	Sono      text   `db:"sono"`
	Custno    text   `db:"custno"`
	Sodate    day    `db:"sodate"`
	Ponum     text   `db:"ponum"`
	Shipvia   text   `db:"shipvia"`
	Pterms    text   `db:"pterms"`
	Tax       amount `db:"tax"`
	Ordamt    amount `db:"ordamt"`
	Shpamt    amount `db:"shpamt"`
	Sostat    text   `db:"sostat"`
	Sotype    text   `db:"sotype"`
	Salesmn   text   `db:"salesmn"`
	Terr      text   `db:"terr"`
	Loctid    text   `db:"loctid"`
	Currid    text   `db:"currid"`
	Sotrack   text   `db:"sotrack"`
	Orderstat text   `db:"orderstat"`
	Adddate   day    `db:"adddate"`
	Addtime   text   `db:"addtime"`
	Lckstat   text   `db:"lckstat"`
	Lckuser   text   `db:"lckuser"`
	History   bool   `db:"history"`
}

const orderColumns = `id_col, sono, custno, sodate, ponum, shipvia, pterms, tax, ordamt, shpamt, sostat, sotype, salesmn, terr, loctid, currid, sotrack, orderstat,
 adddate, addtime, lckstat, lckuser`

// takes tells whether an order still has to do with stock and customer: it is open, and no bid or return.
func (o *order) takes() bool { return o.Sostat == orderOpen && (o.Sotype == "" || o.Sotype == "O") }

// status is one letter for what an order is: O open, R ready to invoice, H held, C closed, X cancelled, V void.
func (o *order) status() string {
	switch {
	case o.Sostat != orderOpen:
		return string(o.Sostat)
	case o.Orderstat == markHeld:
		return "H"
	case o.Orderstat == markReady:
		return "R"
	default:
		return "O"
	}
}

func statusDescription(status string) string {
	switch status {
	case "O":
		return "Open"
	case "R":
		return "Ready to invoice"
	case "H":
		return "On hold"
	case orderClosed:
		return "Closed"
	case orderCancelled:
		return "Cancelled"
	case orderVoid:
		return "Void"
	default:
		return ""
	}
}

// orderLine is a row of SOTRAN or SOYTRN.
type orderLine struct {
	ID         int64  `db:"id_col"`
	Sono       text   `db:"sono"`
	Number     int    `db:"tranlineno"`
	Item       text   `db:"item"`
	Descrip    text   `db:"descrip"`
	Price      amount `db:"price"`
	Cost       amount `db:"cost"`
	Disc       amount `db:"disc"`
	Qtyord     amount `db:"qtyord"`
	Origqtyord amount `db:"origqtyord"`
	Qtyshp     amount `db:"qtyshp"`
	Extprice   amount `db:"extprice"`
	Taxable    text   `db:"taxable"`
	Sostat     text   `db:"sostat"`
	Stkcode    text   `db:"stkcode"`
	Loctid     text   `db:"loctid"`
	Glsale     text   `db:"glsale"`
	Umeasur    text   `db:"umeasur"`
	History    bool   `db:"history"`
}

const lineColumns = `id_col, sono, tranlineno, item, descrip, price, cost, disc, qtyord, origqtyord, qtyshp, extprice, taxable, sostat, stkcode, loctid, glsale, umeasur`

func (l *orderLine) stocked() bool { return l.Stkcode == "Y" }

func (l *orderLine) place() place { return place{string(l.Item), string(l.Loctid)} }

// place is an item in a location.
type place struct{ item, location string }

func (p place) String() string { return p.item + "@" + p.location }

func (p place) compare(other place) int {
	return cmp.Or(strings.Compare(p.item, other.item), strings.Compare(p.location, other.location))
}

// invoice is a row of ARMAST or ARYMST: an invoice, or a credit memo with its amounts below zero.
type invoice struct {
	ID      int64  `db:"id_col"`
	Invno   text   `db:"invno"`
	Custno  text   `db:"custno"`
	Invdte  day    `db:"invdte"`
	Artype  text   `db:"artype"`
	Arstat  text   `db:"arstat"`
	Ornum   text   `db:"ornum"`
	Ponum   text   `db:"ponum"`
	Tax     amount `db:"tax"`
	Invamt  amount `db:"invamt"`
	Paidamt amount `db:"paidamt"`
	Balance amount `db:"balance"`
	Currid  text   `db:"currid"`
	Sotrack text   `db:"sotrack"`
	Arnotes text   `db:"arnotes"`
	Adduser text   `db:"adduser"`
	Adddate day    `db:"adddate"`
	Addtime text   `db:"addtime"`
	History bool   `db:"history"`
}

const invoiceColumns = `id_col, invno, custno, invdte, artype, arstat, ornum, ponum, tax, invamt, paidamt, balance, currid, sotrack, arnotes, adduser, adddate, addtime`

func (i *invoice) memo() bool { return i.Artype == typeMemo }
func (i *invoice) void() bool { return i.Arstat == "V" }

// invoiceLine is a row of ARTRAN or ARYTRN.
type invoiceLine struct {
	ID       int64  `db:"id_col"`
	Invno    text   `db:"invno"`
	Sono     text   `db:"sono"`
	Number   *int   `db:"tranlineno"`
	Item     text   `db:"item"`
	Descrip  text   `db:"descrip"`
	Qtyord   amount `db:"qtyord"`
	Qtyshp   amount `db:"qtyshp"`
	Price    amount `db:"price"`
	Cost     amount `db:"cost"`
	Extprice amount `db:"extprice"`
	Artype   text   `db:"artype"`
	History  bool   `db:"history"`
}

const invoiceLineColumns = `id_col, invno, sono, tranlineno, item, descrip, qtyord, qtyshp, price, cost, extprice, artype`

func (l *invoiceLine) number() int {
	if l.Number == nil {
		return 0
	}
	return *l.Number
}

// cash is a row of ARCASH or ARYCASH.
type cash struct {
	ID       int64  `db:"id_col"`
	Custno   text   `db:"custno"`
	Invno    text   `db:"invno"`
	Dtepaid  day    `db:"dtepaid"`
	Paidamt  amount `db:"paidamt"`
	Disc     amount `db:"disc"`
	Refno    text   `db:"refno"`
	Paytype  text   `db:"paytype"`
	Bankacct text   `db:"bankacct"`
	Currid   text   `db:"currid"`
	Ponum    text   `db:"ponum"`
	History  bool   `db:"history"`
}

const cashColumns = `id_col, custno, invno, dtepaid, paidamt, disc, refno, paytype, bankacct, currid, ponum`

func (c *cash) deposit() bool { return c.Invno == depositInvoice }

// customer is what is read of a row of ARCUST: never its card columns.
type customer struct {
	Custno   text   `db:"custno"`
	Company  text   `db:"company"`
	Contact  text   `db:"contact"`
	Address1 text   `db:"address1"`
	Address2 text   `db:"address2"`
	City     text   `db:"city"`
	State    text   `db:"state"`
	Zip      text   `db:"zip"`
	Country  text   `db:"country"`
	Phone    text   `db:"phone"`
	Email    text   `db:"email"`
	Terr     text   `db:"terr"`
	Salesmn  text   `db:"salesmn"`
	Pterms   text   `db:"pterms"`
	Limit    amount `db:"limit"`
	Balance  amount `db:"balance"`
	Onorder  amount `db:"onorder"`
	Taxcode  text   `db:"taxcode"`
	Currency text   `db:"currency"`
	Credstat text   `db:"credstat"`
	Custstat text   `db:"custstat"`
	Lckstat  text   `db:"lckstat"`
	Lckuser  text   `db:"lckuser"`
}

const customerColumns = `custno, company, contact, address1, address2, city, state, zip, country, phone, email, terr, salesmn, pterms, "limit", balance, onorder, taxcode,
 currency, credstat, custstat, lckstat, lckuser`

// stock is a row of ICILOC with its item.
type stock struct {
	Item    text   `db:"item"`
	Loctid  text   `db:"loctid"`
	Onhand  amount `db:"lonhand"`
	Alloc   amount `db:"lsoaloc"`
	Onordr  amount `db:"lonordr"`
	Itmdesc text   `db:"itmdesc"`
	Stkumid text   `db:"stkumid"`
	Avgcost amount `db:"avgcost"`
	Ionhand amount `db:"ionhand"` // of all locations
}

const stockColumns = `l.item, l.loctid, l.lonhand, l.lsoaloc, l.lonordr, i.itmdesc, i.stkumid, i.avgcost, i.ionhand`

func (s *stock) place() place { return place{string(s.Item), string(s.Loctid)} }

// movement is a row of ICTRAN or ICYTRN.
type movement struct {
	Trantyp text   `db:"trantyp"`
	Item    text   `db:"item"`
	Loctid  text   `db:"loctid"`
	Tdate   day    `db:"tdate"`
	Qty     amount `db:"tqty"`
	Cost    amount `db:"tcost"`
	Docno   text   `db:"docno"`
	History bool   `db:"history"`
}

const movementColumns = `trantyp, item, loctid, tdate, tqty, tcost, docno`

// twins are the tables that a period close moves rows from, with those that it moves them to.
var twins = [...]struct{ current, history string }{
	{"somast", "soymst"}, {"sotran", "soytrn"}, {"soaddr", "soyadr"},
	{"armast", "arymst"}, {"artran", "arytrn"}, {"arcash", "arycash"}, {"ictran", "icytrn"},
}

// both reads columns of a table and of its history twin; where applies to either.
func both(columns, current, where string) string {
	history := ""
	for _, t := range twins {
		if t.current == current {
			history = t.history
		}
	}
	if where != "" {
		where = " WHERE " + where
	}
	return "SELECT " + columns + ", 1 = 0 AS history FROM " + current + where + " UNION ALL SELECT " + columns + ", 1 = 1 AS history FROM " + history + where
}

// ours is the number of a document as people say it.
func ours(n text) string { return strings.TrimSpace(string(n)) }
