package activities_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/outbound"
)

// engineLimit is the largest answer of an activity that Temporal takes. One that is larger fails, and would fail at every poll again.
const engineLimit = 2 << 20

// crowdedErp is an ERP in which as many large documents have changed as a question allows for. An answer of too many is too long for the way to it.
type crowdedErp struct {
	erp.Port
	erp.ChangePort
	documents, lines int
	longest          int // documents of an answer
	asked            int // most stock codes of a question
}

func pageOf[T any](c *crowdedErp, query erp.ChangeQuery, document func(i int) T) (erp.ChangePage[T], error) {
	var page erp.ChangePage[T]
	from := 0
	if query.Cursor != "" {
		from, _ = strconv.Atoi(query.Cursor)
	}
	to := min(from+query.Limit, c.documents)
	if c.longest > 0 && to-from > c.longest {
		return page, &fault.Fault{Kind: fault.Connection, System: "erp-syspro", Code: outbound.CodeAnswerTooLong}
	}
	for i := from; i < to; i++ {
		page.Rows = append(page.Rows, erp.Changed[T]{Document: document(i), At: query.Since.Add(time.Duration(i) * time.Second)})
	}
	if to < c.documents {
		page.Next = strconv.Itoa(to)
	}
	return page, nil
}

func (c *crowdedErp) ListShipments(_ context.Context, query erp.ChangeQuery) (erp.ChangePage[canonical.Shipment], error) {
	return pageOf(c, query, func(i int) canonical.Shipment {
		shipment := canonical.Shipment{Number: fmt.Sprintf("%06d", i), OrderID: fmt.Sprintf("WEB-%d", i), SalesOrder: "015562"}
		for line := range c.lines {
			shipment.Lines = append(shipment.Lines, canonical.ShipmentLine{LineNumber: line + 1, StockCode: fmt.Sprintf("ARTICLE-%06d", line), Quantity: dec("1")})
		}
		return shipment
	})
}

func (c *crowdedErp) ListSalesOrders(_ context.Context, query erp.ChangeQuery) (erp.ChangePage[erp.Order], error) {
	return pageOf(c, query, func(i int) erp.Order {
		order := erp.Order{SalesOrder: canonical.SalesOrder{Number: fmt.Sprintf("%06d", i), OrderNumber: fmt.Sprintf("WEB-%d", i)}, State: erp.OrderOpen}
		for line := range c.lines {
			order.Lines = append(order.Lines, canonical.SalesOrderLine{LineNumber: line + 1, StockCode: fmt.Sprintf("ARTICLE-%06d", i*c.lines+line), Quantity: dec("1")})
		}
		return order
	})
}

func (c *crowdedErp) Stock(_ context.Context, query erp.StockQuery) ([]erp.StockBalance, error) {
	c.asked = max(c.asked, len(query.StockCodes))
	balances := make([]erp.StockBalance, 0, len(query.StockCodes))
	for _, code := range query.StockCodes {
		balances = append(balances, erp.StockBalance{StockCode: code, Known: true, Available: dec("12")})
	}
	return balances, nil
}

// TestAPageOfLargeDocumentsIsDivided: what is too large for the engine, or for the way from the ERP, would come back the same at every try, and nothing
// that changed after it would ever be heard of.
func TestAPageOfLargeDocumentsIsDivided(t *testing.T) {
	for name, test := range map[string]struct {
		feed    activities.ChangeFeed
		erp     crowdedErp
		changes int
	}{
		"shipments of many lines":         {activities.FeedShipments, crowdedErp{documents: 250, lines: canonical.MaxLines}, 250},
		"answers that are too long":       {activities.FeedShipments, crowdedErp{documents: 250, lines: 2, longest: 30}, 250},
		"one document at a time":          {activities.FeedShipments, crowdedErp{documents: 7, lines: 2, longest: 1}, 7},
		"stock of orders of many lines":   {activities.FeedStock, crowdedErp{documents: 120, lines: canonical.MaxLines}, 120 * canonical.MaxLines},
		"orders, of which little is told": {activities.FeedOrders, crowdedErp{documents: 120, lines: canonical.MaxLines}, 120},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBooks(t, "A100", "2")
			b.booking.Port = &test.erp
			in := activities.PollChangesInput{Feed: test.feed, Since: b.clock.Now().Add(-time.Hour), Limit: 100}
			told := map[string]bool{}
			for {
				page, err := try(b.bank, b.booking.PollChanges, in)
				require.NoError(t, err)
				encoded, err := json.Marshal(page)
				require.NoError(t, err)
				require.Less(t, len(encoded), engineLimit*3/4, "sealed it is larger")
				for _, change := range page.Changes {
					require.False(t, told[change.Number], change.Number)
					told[change.Number] = true
				}
				if in.Cursor = page.Next; in.Cursor == "" {
					break
				}
			}
			require.Len(t, told, test.changes)
			require.LessOrEqual(t, test.erp.asked, 5000)
		})
	}
}

// TestAnAnswerThatIsTooLongForOneDocumentIsAFailure: there is nothing to divide.
func TestAnAnswerThatIsTooLongForOneDocumentIsAFailure(t *testing.T) {
	b := newBooks(t, "A100", "2")
	b.booking.Port = refusingErp{crowdedErp: &crowdedErp{documents: 1}}
	_, err := try(b.bank, b.booking.PollChanges, activities.PollChangesInput{Feed: activities.FeedShipments, Limit: 100})
	requireFault(t, err, fault.Connection, false)
}

type refusingErp struct{ *crowdedErp }

func (refusingErp) ListShipments(context.Context, erp.ChangeQuery) (erp.ChangePage[canonical.Shipment], error) {
	return erp.ChangePage[canonical.Shipment]{}, &fault.Fault{Kind: fault.Connection, System: "erp-syspro", Code: outbound.CodeAnswerTooLong}
}
