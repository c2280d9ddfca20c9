package workflows_test

import (
	"slices"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
)

// billing is the part of the world in which an ERP invoices shipments, and deposits pay for them.
type billing struct {
	owing     map[string]decimal.Decimal // open of each invoice; nil: nobody looks
	unapplied decimal.Decimal            // of all deposits together
	invoices  []string                   // that shipments have told of
	billed    []string                   // what each progress says the order's invoice is
}

// invoiced takes the invoice of a shipment down, and gives all that are known.
func (b *billing) invoiced(shipment canonical.Shipment) []string {
	if shipment.Invoice != "" && !slices.Contains(b.invoices, shipment.Invoice) {
		b.invoices = append(b.invoices, shipment.Invoice)
	}
	return slices.Clone(b.invoices)
}

// apply pays a shipment's invoice out of the deposits, then the others that it names.
func (b *billing) apply(in activities.ShipInput) {
	for _, invoice := range append([]string{in.Shipment.Invoice}, in.Invoices...) {
		paid := decimal.Min(b.owing[invoice], b.unapplied)
		if paid.IsPositive() {
			b.owing[invoice], b.unapplied = b.owing[invoice].Sub(paid), b.unapplied.Sub(paid)
		}
	}
}
