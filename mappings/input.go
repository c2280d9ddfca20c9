package mappings

import (
	"slices"
	"strconv"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
)

// Input is everything that a mapping can read. Each member is a root of the same name in expressions; what a step does not
// know yet stays zero, or is anticipated and completed later (see Mapping.Complete).
type Input struct {
	Order       canonical.Order      `json:"order"`
	Payment     canonical.Payment    `json:"payment"`
	Customer    CustomerRef          `json:"customer"`
	SalesOrder  canonical.SalesOrder `json:"salesOrder"`
	Invoice     canonical.Invoice    `json:"invoice"`
	Credit      Credit               `json:"credit"`
	Settlement  canonical.Settlement `json:"settlement"`
	OrderStatus string               `json:"orderStatus"` // state the sales order shall get: "open", "ready", "hold", or the ERP's own code
	Site        map[string]string    `json:"site"`        // settings of the channel: branch, warehouse, terms, bank, accounts ...
	Date        string               `json:"date"`        // business date of the posting, YYYY-MM-DD
}

// CustomerRef is the customer as the ERP knows it.
type CustomerRef struct {
	Code string `json:"code" expr:"code"`
	New  bool   `json:"new" expr:"new"` // the order creates it
}

// Credit is what a credit memo gives back, or what a document beside it is made of. Reference is our name for the document; a credit memo's is
// the operation key that marks it as ours.
type Credit struct {
	Reference string          `json:"reference" expr:"reference"`
	RefundID  string          `json:"refundId" expr:"refundId"` // "" where a compensation makes it
	Reason    string          `json:"reason" expr:"reason"`     // a code: RETURN, REFUND, COMPENSATION ...
	Note      string          `json:"note" expr:"note"`         // why, in words
	Amount    decimal.Decimal `json:"amount" expr:"amount"`     // with tax
	Tax       decimal.Decimal `json:"tax" expr:"tax"`
	Restock   bool            `json:"restock" expr:"restock"` // the goods of its lines come back
	Lines     []CreditLine    `json:"lines" expr:"lines"`     // none where an amount is credited
}

// CreditLine is a quantity of an order line.
type CreditLine struct {
	Number   int             `json:"number" expr:"number"` // of the order line, from 1
	SKU      string          `json:"sku" expr:"sku"`
	Quantity decimal.Decimal `json:"quantity" expr:"quantity"`
}

// Line is an order line with what the mapping files would otherwise have to compute. The root "lines" holds them.
type Line struct {
	Number         int             `expr:"number"` // from 1
	SKU            string          `expr:"sku"`
	Description    string          `expr:"description"`
	Quantity       decimal.Decimal `expr:"quantity"`
	UnitPrice      decimal.Decimal `expr:"unitPrice"`
	Extended       decimal.Decimal `expr:"extended"`       // quantity times price, in minor units
	LineDiscount   decimal.Decimal `expr:"lineDiscount"`   // the line's own
	HeaderDiscount decimal.Decimal `expr:"headerDiscount"` // the line's share of the order's
	Discount       decimal.Decimal `expr:"discount"`       // both
	Tax            decimal.Decimal `expr:"tax"`
	Net            decimal.Decimal `expr:"net"`   // extended less discount, before tax
	Total          decimal.Decimal `expr:"total"` // net with tax
}

// Entry is a member of a map; the function "entries" lists them.
type Entry struct {
	Key   string `expr:"key"`
	Value string `expr:"value"`
}

// Group is one result of an aggregation: the items that share all keys. Sum is signed; of Debit and Credit one is zero, the other its size.
type Group struct {
	Key    string          `expr:"key"` // the first of Keys
	Keys   []string        `expr:"keys"`
	Sum    decimal.Decimal `expr:"sum"`
	Debit  decimal.Decimal `expr:"debit"`
	Credit decimal.Decimal `expr:"credit"`
	Count  int             `expr:"count"` // items in the group; 0 for the line that balances
}

// linesOf prepares the root "lines".
func linesOf(o canonical.Order) []Line {
	shares := canonical.ApportionDiscount(o)
	lines := make([]Line, len(o.Lines))
	for i, item := range o.Lines {
		lines[i] = Line{
			Number: i + 1, SKU: item.SKU, Description: item.Description, Quantity: item.Quantity, UnitPrice: item.UnitPrice,
			Extended: item.Extended(o.Currency), LineDiscount: item.Discount, HeaderDiscount: shares[i],
			Discount: item.Discount.Add(shares[i]), Tax: item.Tax,
		}
		lines[i].total()
	}
	return lines
}

func (l *Line) total() {
	l.Net = l.Extended.Sub(l.Discount)
	l.Total = l.Net.Add(l.Tax)
}

// absorb adds the amounts of another line.
func (l *Line) absorb(other Line) {
	l.Extended = l.Extended.Add(other.Extended)
	l.LineDiscount = l.LineDiscount.Add(other.LineDiscount)
	l.HeaderDiscount = l.HeaderDiscount.Add(other.HeaderDiscount)
	l.Discount = l.Discount.Add(other.Discount)
	l.Tax = l.Tax.Add(other.Tax)
	l.total()
}

// merge joins lines of the same SKU, description and price; amounts add up exactly. It keeps lines apart where rounding the
// joined quantity times price would not give the sum of the rounded lines.
func merge(lines []Line, currency string) []Line {
	type kind struct{ sku, description, price string }
	merged := make([]Line, 0, len(lines))
	at := map[kind]int{}
	for _, line := range lines {
		k := kind{line.SKU, line.Description, line.UnitPrice.String()}
		i, seen := at[k]
		if !seen {
			at[k] = len(merged)
			merged = append(merged, line)
			continue
		}
		quantity := merged[i].Quantity.Add(line.Quantity)
		if !canonical.RoundAmount(quantity.Mul(line.UnitPrice), currency).Equal(merged[i].Extended.Add(line.Extended)) {
			merged = append(merged, line)
			continue
		}
		merged[i].Quantity = quantity
		merged[i].absorb(line)
	}
	return renumber(merged)
}

// fold keeps at most the given number of lines: those beyond become one line, of quantity 1 and the sum of their amounts.
func fold(lines []Line, most int, sku, description string) []Line {
	if most < 1 || len(lines) <= most {
		return lines
	}
	folded := slices.Clone(lines[:most-1])
	rest := Line{SKU: sku, Description: description, Quantity: decimal.NewFromInt(1)}
	for _, line := range lines[most-1:] {
		rest.absorb(line)
	}
	rest.UnitPrice = rest.Extended
	return renumber(append(folded, rest))
}

// whole gives lines that a system without fractions of units or of cents can take: a line whose quantity is not whole, or whose price divides
// further than the currency, is sent as one piece at the price of all.
func whole(lines []Line, currency string) []Line {
	pieces := slices.Clone(lines)
	for i, line := range pieces {
		if line.Quantity.IsInteger() && line.UnitPrice.Equal(canonical.RoundAmount(line.UnitPrice, currency)) {
			continue
		}
		pieces[i].Quantity = decimal.NewFromInt(1)
		pieces[i].UnitPrice = line.Extended
		if !line.Quantity.Equal(decimal.NewFromInt(1)) {
			pieces[i].Description = line.Quantity.String() + " x " + line.Description
		}
	}
	return pieces
}

func renumber(lines []Line) []Line {
	for i := range lines {
		lines[i].Number = i + 1
	}
	return lines
}

// entries lists a map by key: numbers by value before words.
func entries(m map[string]string) []Entry {
	list := make([]Entry, 0, len(m))
	for key, value := range m {
		list = append(list, Entry{Key: key, Value: value})
	}
	slices.SortFunc(list, func(a, b Entry) int {
		x, errX := strconv.Atoi(a.Key)
		y, errY := strconv.Atoi(b.Key)
		switch {
		case errX == nil && errY == nil && x != y:
			return x - y
		case errX == nil && errY != nil:
			return -1
		case errX != nil && errY == nil:
			return 1
		case a.Key < b.Key:
			return -1
		default:
			return 1
		}
	})
	return list
}
