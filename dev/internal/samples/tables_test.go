package samples

import (
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/dev/internal/world"
)

// soldTables are the tables with one order as confirmed() leaves it, its number too long for ponum.
func soldTables() world.Tables {
	return world.Tables{
		"cyb_xref": {{"entity": "op", "extref": "OrderToCash:a:sales-order", "erpkey": "10245"}, {"entity": "order", "extref": "sage-clean-sale-a", "erpkey": "10245"}},
		"soymst":   {{"sono": "     10245", "ponum": "sage-clean--1f2e3d4c", "sostat": "C", "orderstat": "READY     "}},
		"armast":   {{"invno": "     20069", "ornum": "     10245", "artype": "", "balance": "0.0000"}},
		"arcash": {
			{"invno": "     20069", "refno": "97531024680135790246", "paidamt": "40.19"}, {"invno": "DEPOSIT", "refno": "97531024680135790246", "paidamt": 8.0},
			{"invno": "DEPOSIT", "refno": "97531024680135799999", "ponum": "another", "paidamt": "5"},
		},
	}
}

func soldResult() Result {
	evidence := good()
	evidence.Money.Lines = []world.Transaction{{ID: "7197531024680135790246"}}
	return Result{Sample: Sample{ERP: world.Sagepro(""), Want: confirmed()}, OrderID: "sage-clean-sale-a", Evidence: evidence}
}

func TestTablesAreHeldAgainstTheGateway(t *testing.T) {
	tests := map[string]struct {
		change func(world.Tables, *Result)
		want   string // "": all is well
	}{
		"as it is to be": {func(world.Tables, *Result) {}, ""},
		"twice":          {func(t world.Tables, _ *Result) { t["somast"] = t["soymst"] }, "rows in SOMAST: 2, expected 1"},
		"not closed":     {func(t world.Tables, _ *Result) { t["soymst"][0]["sostat"] = "" }, "the order's state in SOMAST: R, expected complete"},
		"held":           {func(t world.Tables, _ *Result) { t["soymst"][0]["sostat"], t["soymst"][0]["orderstat"] = "", "HOLD" }, "SOMAST: suspended, expected complete"},
		"invoiced twice": {func(t world.Tables, _ *Result) { t["arymst"] = t["armast"] }, "invoices in ARMAST: 2, expected 1"},
		"credited": {func(t world.Tables, _ *Result) {
			t["armast"] = append(t["armast"], world.Row{"invno": "     20070", "ornum": "     10245", "artype": "C", "balance": "0"})
		}, "credit memos in ARMAST: 1, expected 0"},
		"still owed": {func(t world.Tables, _ *Result) { t["armast"][0]["balance"] = "8.0000" }, "open in ARMAST: 8, expected 0"},
		"given back": {func(t world.Tables, _ *Result) {
			t["arycash"] = []world.Row{{"invno": "DEPOSIT", "refno": "R-1", "ponum": "sage-clean--1f2e3d4c", "paidamt": "-8.00"}}
		}, "money in ARCASH: 40.19, expected 48.19"},
		"another sum":      {func(t world.Tables, _ *Result) { t["arcash"][1]["paidamt"] = 8.01 }, "money in ARCASH: 48.2, expected 48.19"},
		"not booked":       {func(t world.Tables, _ *Result) { t["soymst"] = nil }, "rows in SOMAST: 0, expected 1"},
		"maybe not booked": {func(t world.Tables, r *Result) { t["soymst"], r.Sample.Want.OrNone = nil, true }, ""},
		"not to be booked": {func(_ world.Tables, r *Result) { r.Sample.Want = ended("declined", "declined") }, "rows in SOMAST: 1, expected 0"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			tables, result, d := soldTables(), soldResult(), &differences{}
			result.Evidence.Money.Captured = decimal.RequireFromString("48.19")
			test.change(tables, &result)
			d.tables(world.Sagepro(""), tables, result)
			if test.want == "" {
				require.Empty(t, d.found)
				return
			}
			require.Len(t, d.found, 1)
			require.Contains(t, d.found[0], test.want)
		})
	}
}
