package sagepro_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/mappings"
)

// TestWorkedExample follows examples/sagepro at a site that has the columns it asks for: fields of shop and CRM stand in the customer and the sales
// order, and a site that lacks the columns is told which.
func TestWorkedExample(t *testing.T) {
	t.Parallel()
	overlay, err := mappings.Load(mappings.Options{OverlayDir: "../../../examples/sagepro/mappings"})
	require.NoError(t, err)
	onEach(t, func(t *testing.T, d *desk) {
		err := d.CheckTargets(t.Context(), targetsOf(t, overlay, "sagepro/customer", "sagepro/sales_order"))
		for _, column := range []string{"arcust.crmacct", "somast.crmacct", "somast.webtier"} {
			require.ErrorContains(t, err, column)
		}
		for _, column := range []string{"arcust ADD COLUMN crmacct", "somast ADD COLUMN crmacct", "somast ADD COLUMN webtier"} {
			d.plain.MustExecContext(t.Context(), "ALTER TABLE "+column+" VARCHAR(18) NOT NULL DEFAULT ''")
		}
		d.Client = d.client(t) // what the site has is read once
		require.NoError(t, d.CheckTargets(t.Context(), targetsOf(t, overlay, "sagepro/customer", "sagepro/sales_order")))

		customer, err := d.PutCustomer(t.Context(), "customer", d.mapped(t, overlay, "sagepro/customer", "customer: null"))
		require.NoError(t, err)
		order, err := d.CreateSalesOrder(t.Context(), "order", d.mapped(t, overlay, "sagepro/sales_order", "customer: {code: "+customer.Code+"}"))
		require.NoError(t, err)
		require.Equal(t, "0015g00000AbCdE", d.value(t, "SELECT crmacct FROM arcust WHERE TRIM(custno) = '"+customer.Code+"'"))
		require.Equal(t, "0015g00000AbCdE", d.value(t, "SELECT crmacct FROM somast WHERE TRIM(sono) = '"+order.Number+"'"))
		require.Equal(t, "GOLD", d.value(t, "SELECT webtier FROM somast WHERE TRIM(sono) = '"+order.Number+"'"))
	})
}

func targetsOf(t *testing.T, set *mappings.Set, names ...string) []string {
	t.Helper()
	var targets []string
	for _, name := range names {
		mapping, err := set.Mapping(name)
		require.NoError(t, err)
		targets = append(targets, mapping.Targets()...)
	}
	return targets
}

// mapped makes the document of the order that all mappings are tried with, of a buyer whom the CRM knows.
func (d *desk) mapped(t *testing.T, set *mappings.Set, name, changes string) erp.Document {
	t.Helper()
	fixture, err := os.ReadFile("../../../mappings/fixtures/order.yaml")
	require.NoError(t, err)
	var input, changed map[string]any
	require.NoError(t, yaml.Unmarshal(fixture, &input))
	require.NoError(t, yaml.Unmarshal([]byte(changes), &changed))
	for member, value := range changed {
		input[member] = value
	}
	input["order"].(map[string]any)["custom"] = map[string]any{"crmAccount": "0015g00000AbCdE"}
	written, err := yaml.Marshal(input)
	require.NoError(t, err)
	in, err := mappings.ParseInput(written)
	require.NoError(t, err)
	mapping, err := set.Mapping(name)
	require.NoError(t, err)
	document, err := mapping.Apply(in)
	require.NoError(t, err)
	return erp.Document{Body: document.Body, Mapping: name, Version: document.Version, Hash: document.Hash}
}

func (d *desk) value(t *testing.T, query string) string {
	t.Helper()
	var value string
	require.NoError(t, d.plain.GetContext(t.Context(), &value, query))
	return value
}

// TestFieldOfAnotherSite: without the site's columns the example's documents are refused, field by field, before anything is written.
func TestFieldOfAnotherSite(t *testing.T) {
	t.Parallel()
	overlay, err := mappings.Load(mappings.Options{OverlayDir: "../../../examples/sagepro/mappings"})
	require.NoError(t, err)
	onEach(t, func(t *testing.T, d *desk) {
		_, err := d.PutCustomer(t.Context(), "customer", d.mapped(t, overlay, "sagepro/customer", "customer: null"))
		require.True(t, fault.Is(err, fault.Value), "%v", err)
		require.Equal(t, "arcust.crmacct", fault.As(err).Fields[0].Path)
	})
}
