package sagepro

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base32"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/shopspring/decimal"
)

// xref is a row of cyb_xref: which of the ERP's documents (ErpKey) came of what we name ourselves (ExtRef), and of which payment. Its key is
// unique for ever, so it also says that there is such a document already.
type xref struct {
	Entity  text   `db:"entity"`
	ExtRef  text   `db:"extref"`
	ErpKey  text   `db:"erpkey"`
	CybTxn  text   `db:"cybtxn"`
	PayHash text   `db:"payhash"`
	State   text   `db:"state"`
	Amount  amount `db:"amount"`
	CurrID  text   `db:"currid"`
	Answer  text   `db:"answer"`
	Updated moment `db:"updated"`
}

// The entities of natural keys.
const (
	entityOrder      = "order"      // extref: our order number
	entityCustomer   = "customer"   // extref: the shop's id
	entityInvoice    = "invoice"    // extref: the sales order that it was made from
	entityReceipt    = "receipt"    // extref: the payment's reference; deposits, reversals, refunds and applications too
	entityCreditMemo = "creditmemo" // extref: our reference
	entityJournal    = "journal"    // extref: the journal's reference
	entityAPInvoice  = "apinvoice"  // extref: vendor and number
)

// longestRef is the length of cyb_xref.extref.
const longestRef = 64

// extRef makes a reference fit: one that is longer, or that a column of Windows-1252 and a comparison without blanks would not keep apart from
// others, becomes "sha256:" and the base32 of its hash, so that two never share a row.
func extRef(reference string) string {
	ascii := !strings.ContainsFunc(reference, func(r rune) bool { return r > unicode.MaxASCII })
	if len(reference) <= longestRef && ascii && strings.TrimSpace(reference) == reference {
		return reference
	}
	sum := sha256.Sum256([]byte(reference))
	return "sha256:" + base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:])
}

const xrefColumns = "{cyb_xref: entity extref erpkey cybtxn payhash state amount currid answer updated}"

// xrefOf finds the row of a reference; nil if there is none.
func (q querier) xrefOf(ctx context.Context, entity, reference string) (*xref, error) {
	var found xref
	err := q.get(ctx, &found, "SELECT "+xrefColumns+" FROM {cyb_xref} WHERE {cyb_xref.company} = ? AND {cyb_xref.entity} = ? AND {cyb_xref.extref} = ?",
		q.value("cyb_xref.company", q.site.company), q.value("cyb_xref.entity", entity), q.value("cyb_xref.extref", extRef(reference)))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // absence is an answer
	}
	if err != nil {
		return nil, err
	}
	return &found, nil
}

// xrefOfKey finds the row of an entity by the ERP's number (trimmed); nil if the document is none of ours.
func (q querier) xrefOfKey(ctx context.Context, entity, erpKey string) (*xref, error) {
	var found []xref
	err := q.list(ctx, &found, "SELECT {top 1}"+xrefColumns+" FROM {cyb_xref} WHERE {cyb_xref.company} = ? AND {cyb_xref.entity} = ? AND {cyb_xref.erpkey} = ?"+
		" ORDER BY {cyb_xref.created}{limit 1}",
		q.value("cyb_xref.company", q.site.company), q.value("cyb_xref.entity", entity), q.value("cyb_xref.erpkey", erpKey))
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// claim writes the row of a reference, or gives the one that is there already. Of two transactions that claim one reference at once the second
// waits for the first, and sees its row if it was committed.
func (t *tx) claim(ctx context.Context, entity, reference string, x xref) (held *xref, err error) {
	at := t.now.UTC()
	made, err := t.insertAbsent(ctx, "cyb_xref", []string{"company", "entity", "extref"}, row{"company": t.site.company, "entity": entity, "extref": extRef(reference),
		"erpkey": x.ErpKey, "cybtxn": x.CybTxn, "payhash": x.PayHash, "state": x.State, "amount": x.Amount, "currid": x.CurrID, "answer": x.Answer,
		"created": at, "updated": at})
	if err != nil || made {
		return nil, err
	}
	held, err = t.xrefOf(ctx, entity, reference)
	if err == nil && held == nil {
		err = errors.New("a row of cyb_xref is there and is not")
	}
	return held, err
}

// setXref changes the row of a reference that this transaction has claimed or read.
func (t *tx) setXref(ctx context.Context, entity, reference string, values row) error {
	values = maps.Clone(values)
	values["updated"] = t.now.UTC()
	changed, err := t.update(ctx, "cyb_xref", row{"company": t.site.company, "entity": entity, "extref": extRef(reference)}, values)
	if err == nil && changed != 1 {
		err = fmt.Errorf("cyb_xref has no row for this %s", entity)
	}
	return err
}

// insertAbsent inserts a row unless there is one with its key, and tells which.
func (t *tx) insertAbsent(ctx context.Context, table string, key []string, values row) (made bool, err error) {
	keys, rest := row{}, maps.Clone(values)
	for _, name := range key {
		keys[name] = values[name]
		delete(rest, name)
	}
	keyNames, keyArguments, err := t.columnsOf(table, keys)
	if err != nil {
		return false, err
	}
	names, arguments, err := t.columnsOf(table, rest)
	if err != nil {
		return false, err
	}
	names, arguments = slices.Concat(keyNames, names), slices.Concat(keyArguments, arguments)
	names, arguments = t.fill(table, names, arguments)
	into, err := t.site.sql("{" + table + "}")
	if err != nil {
		return false, err
	}
	statement, twice := t.dialect.insertAbsent(into, names, len(keyNames))
	if twice {
		arguments = append(arguments, keyArguments...)
	}
	count, err := t.execPlain(ctx, statement, arguments...)
	return count == 1, err
}

// sameMoney compares what a document would make with what is there.
func (x *xref) sameMoney(total decimal.Decimal, currency string) bool {
	return x.Amount.Equal(total) && string(x.CurrID) == currency
}
