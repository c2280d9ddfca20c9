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

func TestTargetsAreAllThatAMappingFills(t *testing.T) {
	set := load(t)
	for name, want := range map[string][]string{
		"sagepro/invoice":     {"invdte", "reference", "sono"},
		"sagepro/sales_order": {"orderNumber", "soaddr[].city", "somast.custno", "sotran[].item", "socomm"},
		"syspro/sales_order":  {"ShipToAddress.City", "LineItems[].StockCode"},
	} {
		m, err := set.Mapping(name)
		require.NoError(t, err)
		targets := m.Targets()
		require.Subset(t, targets, want, name)
		require.IsIncreasing(t, targets, "each once")
		require.NotContains(t, targets, "sotran", "a list is its members")
	}
}
