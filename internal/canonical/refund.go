package canonical

import (
	"fmt"
	"strconv"

	"github.com/shopspring/decimal"
)

// RefundWish is what of an order is to be paid back: an amount, or lines, or (neither given) all that is left. Amounts are in the
// order's currency.
type RefundWish struct {
	Amount   *decimal.Decimal `json:"amount,omitempty"`
	Lines    []RefundLine     `json:"lines,omitempty"`
	Shipping *decimal.Decimal `json:"shipping,omitempty"` // with lines: of the shipping; nil: its share, by the lines' value
}

// RefundLine is a quantity of one order line, counted from 1.
type RefundLine struct {
	Line     int             `json:"line"`
	Quantity decimal.Decimal `json:"quantity"`
}

// RefundBreakdown is what a refund consists of, to the minor unit: Total = Net + Tax + Shipping.
type RefundBreakdown struct {
	Lines    []RefundShare   `json:"lines,omitempty"` // none where the refund is an amount
	Net      decimal.Decimal `json:"net"`             // goods after discounts, without tax
	Tax      decimal.Decimal `json:"tax"`
	Shipping decimal.Decimal `json:"shipping"`
	Total    decimal.Decimal `json:"total"`
}

// RefundShare is the part of one order line.
type RefundShare struct {
	Line     int             `json:"line"`
	SKU      string          `json:"sku"`
	Quantity decimal.Decimal `json:"quantity"`
	Net      decimal.Decimal `json:"net"`
	Tax      decimal.Decimal `json:"tax"`
}

// RuleCombination is the Problem of members that do not go together.
const RuleCombination = "combination"

// maxQuantityPlaces is how far an order line's quantity divides.
const maxQuantityPlaces = 6

// ApportionRefund works out what a refund consists of, given the refunds of the order that were taken before it. The order is a valid
// one (see Order.Validate). However an order is refunded, in whatever pieces and ways, the parts never come to more than the order, no
// part is negative, and the last piece takes exactly what is left of each.
//
//   - Nothing wished: all that is left, with the lines that have not come back.
//   - An amount: goods, tax and shipping in proportion to what is left of each.
//   - Lines: of each line the quantity's share of what is left of that line, after its own and the header's discount; the last unit
//     takes all of it. Shipping is what the wish says, else the share of it that the lines have in the value of all goods.
//
// A refund by amount lowers what is left of the order, not of a line: lines that are worth more than the order has left are refused.
// Problems have pointers into the wish.
func ApportionRefund(order Order, earlier []RefundBreakdown, wish RefundWish) (RefundBreakdown, []Problem) {
	r := remainderOf(order, earlier)
	c := &checker{}
	var b RefundBreakdown
	switch {
	case wish.Amount != nil:
		b = r.byAmount(c, wish)
	case wish.Lines != nil:
		b = r.byLines(c, wish)
	default:
		b = r.all(c, wish)
	}
	if problems := c.problems(); len(problems) > 0 {
		return RefundBreakdown{}, problems
	}
	b.Total = b.Net.Add(b.Tax).Add(b.Shipping)
	return b, nil
}

// ApportionWithin is ApportionRefund for a payment of which no more than an amount is left: a wish for all that is left of the order takes no
// more than that, since chargebacks can have made it less.
func ApportionWithin(order Order, earlier []RefundBreakdown, wish RefundWish, left decimal.Decimal) (RefundBreakdown, []Problem) {
	breakdown, problems := ApportionRefund(order, earlier, wish)
	if len(problems) > 0 || wish.Amount != nil || wish.Lines != nil || breakdown.Total.LessThanOrEqual(left) {
		return breakdown, problems
	}
	return ApportionRefund(order, earlier, RefundWish{Amount: &left})
}

// remainder is what is left of an order after its earlier refunds.
type remainder struct {
	order              Order
	lines              []RefundShare // of each line, by the refunds that named it
	net, tax, shipping decimal.Decimal
	whole, returned    decimal.Decimal // weight of all lines, and of those that came back (see weight)
	byQuantity         bool            // the goods were free: lines weigh by quantity, not by value
}

func remainderOf(order Order, earlier []RefundBreakdown) *remainder {
	r := &remainder{order: order, shipping: order.Shipping, tax: order.TaxTotal()}
	discounts := ApportionDiscount(order)
	for i, line := range order.Lines {
		net := line.Extended(order.Currency).Sub(line.Discount).Sub(discounts[i])
		r.lines = append(r.lines, RefundShare{Line: i + 1, SKU: line.SKU, Quantity: line.Quantity, Net: net, Tax: line.Tax})
		r.net = r.net.Add(net)
	}
	r.byQuantity = r.net.IsZero()
	for _, line := range r.lines {
		r.whole = r.whole.Add(r.weight(line))
	}
	for _, refund := range earlier {
		r.net, r.tax, r.shipping = r.net.Sub(refund.Net), r.tax.Sub(refund.Tax), r.shipping.Sub(refund.Shipping)
		for _, share := range refund.Lines {
			if share.Line >= 1 && share.Line <= len(r.lines) {
				r.lines[share.Line-1].take(share)
				r.returned = r.returned.Add(r.weight(share))
			}
		}
	}
	r.level()
	return r
}

// weight is what a line's share of the shipping goes by.
func (r *remainder) weight(share RefundShare) decimal.Decimal {
	if r.byQuantity {
		return share.Quantity
	}
	return share.Net
}

func (s *RefundShare) take(part RefundShare) {
	s.Quantity, s.Net, s.Tax = s.Quantity.Sub(part.Quantity), s.Net.Sub(part.Net), s.Tax.Sub(part.Tax)
}

// level lets what one part was overdrawn by lower the others. Only a refund that began outside, with a division of its own (an ERP's
// credit memo with its own tax), can have overdrawn one.
func (r *remainder) level() {
	parts := []*decimal.Decimal{&r.net, &r.shipping, &r.tax}
	for _, overdrawn := range parts {
		for _, other := range parts {
			if overdrawn.IsNegative() && other.IsPositive() {
				moved := decimal.Min(overdrawn.Neg(), *other)
				*overdrawn, *other = overdrawn.Add(moved), other.Sub(moved)
			}
		}
		*overdrawn = decimal.Max(*overdrawn, decimal.Zero)
	}
}

func (r *remainder) total() decimal.Decimal { return r.net.Add(r.tax).Add(r.shipping) }

func (r *remainder) text(amount decimal.Decimal) string {
	return FormatAmount(amount, r.order.Currency) + " " + r.order.Currency
}

// all is what is left. Where earlier amounts lowered the order below its lines, the lines share what there is.
func (r *remainder) all(c *checker, wish RefundWish) RefundBreakdown {
	if wish.Shipping != nil {
		c.at("shipping").report(RuleCombination, "goes with lines only")
	}
	if !r.total().IsPositive() {
		c.report(RuleMaximum, "nothing of the order is left to refund")
	}
	b := RefundBreakdown{Net: r.net, Tax: r.tax, Shipping: r.shipping}
	nets, taxes := make([]decimal.Decimal, len(r.lines)), make([]decimal.Decimal, len(r.lines))
	for i, left := range r.lines {
		nets[i], taxes[i] = decimal.Max(left.Net, decimal.Zero), decimal.Max(left.Tax, decimal.Zero)
	}
	nets, taxes = Apportion(r.net, nets, r.order.Currency), Apportion(r.tax, taxes, r.order.Currency)
	for i, left := range r.lines {
		if left.Quantity.IsPositive() {
			left.Net, left.Tax = nets[i], taxes[i]
			b.Lines = append(b.Lines, left)
		}
	}
	return b
}

func (r *remainder) byAmount(c *checker, wish RefundWish) RefundBreakdown {
	if wish.Lines != nil {
		c.at("lines").report(RuleCombination, "does not go with an amount")
	}
	if wish.Shipping != nil {
		c.at("shipping").report(RuleCombination, "goes with lines only")
	}
	amount := *wish.Amount
	at := c.at("amount")
	if !r.positive(at, amount) {
		return RefundBreakdown{}
	}
	if amount.GreaterThan(r.total()) {
		at.report(RuleMaximum, "is more than the "+r.text(r.total())+" that are left of the order")
		return RefundBreakdown{}
	}
	parts := Apportion(amount, []decimal.Decimal{r.net, r.tax, r.shipping}, r.order.Currency)
	return RefundBreakdown{Net: parts[0], Tax: parts[1], Shipping: parts[2]}
}

// positive checks an amount of the wish; false is no amount to calculate with.
func (r *remainder) positive(c *checker, amount decimal.Decimal) bool {
	before := len(c.problems())
	if amount.IsZero() {
		c.report(RuleMinimum, "must be more than 0")
	}
	c.amount(amount, r.order.Currency)
	return len(c.problems()) == before
}

func (r *remainder) byLines(c *checker, wish RefundWish) RefundBreakdown {
	at := c.at("lines")
	switch {
	case len(wish.Lines) == 0:
		at.report(RuleRequired, "names no line; leave it out to refund all that is left")
		return RefundBreakdown{}
	case len(wish.Lines) > MaxLines:
		at.report(RuleMaxItems, fmt.Sprintf("has %d lines, at most %d are taken", len(wish.Lines), MaxLines))
		return RefundBreakdown{}
	}
	var b RefundBreakdown
	seen := map[int]bool{}
	for i, line := range wish.Lines {
		share, fine := r.line(at.at(strconv.Itoa(i)), line, seen)
		if fine {
			b.Lines = append(b.Lines, share)
			b.Net, b.Tax = b.Net.Add(share.Net), b.Tax.Add(share.Tax)
		}
	}
	b.Shipping = r.shippingOf(c.at("shipping"), wish, b.Lines)
	if len(c.problems()) == 0 {
		r.fits(c, b)
	}
	return b
}

// line is the share of one line of the wish.
func (r *remainder) line(c *checker, wanted RefundLine, seen map[int]bool) (share RefundShare, fine bool) {
	before := len(c.problems())
	switch {
	case wanted.Line < 1 || wanted.Line > len(r.lines):
		c.at("line").report(RuleEnum, fmt.Sprintf("must be a line of the order, 1 to %d", len(r.lines)))
	case seen[wanted.Line]:
		c.at("line").report(RuleDuplicateField, "is given more than once")
	}
	seen[wanted.Line] = true
	if !wanted.Quantity.IsPositive() {
		c.at("quantity").report(RuleMinimum, "must be more than 0")
	}
	c.at("quantity").number(wanted.Quantity, maxQuantityPlaces)
	if len(c.problems()) > before {
		return RefundShare{}, false
	}
	left := r.lines[wanted.Line-1]
	if wanted.Quantity.GreaterThan(left.Quantity) {
		c.at("quantity").report(RuleMaximum, fmt.Sprintf("is more than the %s that are left of the line", left.Quantity))
		return RefundShare{}, false
	}
	return left.of(wanted.Quantity, r.order.Currency), true
}

// of is the share that a quantity has in what is left of a line, rounded to the minor unit; the whole quantity has all of it.
func (s RefundShare) of(quantity decimal.Decimal, currency string) RefundShare {
	if quantity.Equal(s.Quantity) {
		return s
	}
	part := RefundShare{Line: s.Line, SKU: s.SKU, Quantity: quantity}
	part.Net = portion(s.Net, quantity, s.Quantity, currency)
	part.Tax = portion(s.Tax, quantity, s.Quantity, currency)
	return part
}

// portion is amount * part / whole in the currency's minor units, half away from zero.
func portion(amount, part, whole decimal.Decimal, currency string) decimal.Decimal {
	if !whole.IsPositive() {
		return decimal.Zero
	}
	places, err := MinorUnits(currency)
	if err != nil {
		places = -amount.Exponent()
	}
	return amount.Mul(part).DivRound(whole, places)
}

// shippingOf is the shipping that goes back with lines. The shares are differences of rounded sums, so that all of them
// together are exactly the order's shipping.
func (r *remainder) shippingOf(c *checker, wish RefundWish, shares []RefundShare) decimal.Decimal {
	if wish.Shipping != nil {
		before := len(c.problems())
		c.amount(*wish.Shipping, r.order.Currency)
		if len(c.problems()) == before && wish.Shipping.GreaterThan(r.shipping) {
			c.report(RuleMaximum, "is more than the "+r.text(r.shipping)+" of shipping that are left")
		}
		return *wish.Shipping
	}
	returned := r.returned
	for _, share := range shares {
		returned = returned.Add(r.weight(share))
	}
	until := portion(r.order.Shipping, returned, r.whole, r.order.Currency)
	before := portion(r.order.Shipping, r.returned, r.whole, r.order.Currency)
	return decimal.Min(until.Sub(before), r.shipping)
}

// fits refuses lines that are worth nothing, or more than earlier refunds by amount have left of the order.
func (r *remainder) fits(c *checker, b RefundBreakdown) {
	switch at := c.at("lines"); {
	case !b.Net.Add(b.Tax).Add(b.Shipping).IsPositive():
		at.report(RuleMinimum, "are worth nothing: there is no money to pay back")
	case b.Net.GreaterThan(r.net):
		at.report(RuleMaximum, "are worth more than the "+r.text(r.net)+" of goods that earlier refunds left of the order; give an amount instead")
	case b.Tax.GreaterThan(r.tax):
		at.report(RuleMaximum, "carry more tax than the "+r.text(r.tax)+" that earlier refunds left of the order; give an amount instead")
	}
}
