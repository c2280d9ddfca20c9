package mappings_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/mappings"
)

func TestFieldTellsWhereATargetComesFrom(t *testing.T) {
	m, err := load(t).Mapping("syspro/sales_order")
	require.NoError(t, err)
	for target, want := range map[string]mappings.Field{
		"ShipToAddress.City":     {Source: "order.shipTo.city", Plain: true, MaxLength: 40},
		"LineItems[7].StockCode": {Source: "item.sku", Plain: true, List: "lines", Index: 7, MaxLength: 30},
		"LineItems[0].Quantity":  {Source: "item.quantity", Plain: true, List: "lines"},
		"OrderStatus":            {Source: "orderStatus"},
		"ShipToAddress.Line4":    {Source: `wrapRest(order.shipTo.line1 + " " + order.shipTo.line2, 40, 3)`, MaxLength: 40},
	} {
		got, known := m.Field(target)
		require.True(t, known, target)
		require.Equal(t, want, got, target)
	}
	for _, target := range []string{"", "Nothing", "LineItems", "LineItems[0]", "LineItems[0].Nothing", "LineItems[x].StockCode", "Nothing[0].StockCode", "LineItems[99999999].StockCode"} {
		_, known := m.Field(target)
		require.False(t, known, target)
	}
}
