package samples

import (
	"context"

	"github.com/tenderline/tenderline/dev/internal/world"
)

// total is the total of world.NewOrder.
const total = "48.19"

// confirmed is how a good order ends.
var confirmed = Want{
	Status: "confirmed", Payment: "captured", Captured: total, SalesOrder: SalesOrderComplete, Invoices: 1, Receipts: 1,
	Told: []string{"order.confirmed"},
}

// All are the samples, in the order in which they are shown.
func All() []Sample {
	return []Sample{
		{Slug: "clean-sale", Title: "Clean sale", Play: place("approve"), Want: confirmed},
		{Slug: "two-steps", Title: "Authorization, then capture", Play: place("approve", captureAfterAuthorization), Want: confirmed},
		{
			Slug: "lost-sale", Title: "Gateway's answer lost after it charged", Trouble: Gateway, Want: confirmed,
			Play: loseAnswer("POST /pts/v2/payments"),
		},
	}
}

// place places an order and does nothing else.
func place(scenario string, changes ...func(map[string]any)) func(context.Context, *Play) error {
	return func(ctx context.Context, p *Play) error { return p.Place(ctx, scenario, changes...) }
}

func captureAfterAuthorization(order map[string]any) {
	order["payment"].(map[string]any)["capture"] = "after_authorization"
}

// loseAnswer loses the answer of one call of the gateway, which has carried it out.
func loseAnswer(route string, changes ...func(map[string]any)) func(context.Context, *Play) error {
	return func(ctx context.Context, p *Play) error {
		fault := world.Fault{Route: route, Mode: "drop_after", Times: 1}
		return p.Breaking(ctx, p.Gateway, fault, func() error { return p.Place(ctx, "approve", changes...) })
	}
}

// Kiosk is a channel where nobody waits: a decline is final, and an ERP failure is compensated at once.
const Kiosk = "kiosk"

// Channels are the channels' settings that the samples need.
const Channels = `{"*":{},"` + Kiosk + `":{"policy":{"paymentWait":"0s","onErpFailure":"compensate"}}}`
