package cli

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
)

// TestTheClientReadsWhatTheDescriptionOffers holds the client's structs to webhook/openapi.yaml: a field that the API does not describe
// would silently stay empty.
func TestTheClientReadsWhatTheDescriptionOffers(t *testing.T) {
	document, err := openapi3.NewLoader().LoadFromFile("../../webhook/openapi.yaml")
	require.NoError(t, err)
	for _, tc := range []struct {
		method, path, status string
		into                 any
	}{
		{http.MethodPost, "/v1/orders", "202", order{}},
		{http.MethodPost, "/v1/orders", "200", order{}},
		{http.MethodGet, "/v1/orders", "200", orderPage{}},
		{http.MethodGet, "/v1/orders/{orderId}", "200", order{}},
		{http.MethodPost, "/v1/orders/{orderId}/payment", "202", attempted{}},
		{http.MethodPost, "/v1/orders/{orderId}/cancel", "202", cancelled{}},
		{http.MethodPost, "/v1/orders/{orderId}/refunds", "202", refund{}},
		{http.MethodGet, "/v1/orders/{orderId}/refunds", "200", refundPage{}},
		{http.MethodGet, "/v1/orders/{orderId}/refunds/{refundId}", "200", refund{}},
		{http.MethodGet, "/v1/orders/{orderId}/audit", "200", auditTrail{}},
		{http.MethodGet, "/v1/fraud-reviews", "200", reviewPage{}},
		{http.MethodGet, "/v1/fraud-reviews/{orderId}", "200", reviewCase{}},
		{http.MethodPost, "/v1/fraud-reviews/{orderId}/decision", "200", decided{}},
		{http.MethodGet, "/v1/attention", "200", parkedPage{}},
		{http.MethodGet, "/v1/attention/{id}", "200", parked{}},
		{http.MethodPost, "/v1/attention/{id}/resolve", "200", resolved{}},
		{http.MethodPost, "/v1/attention/retry", "200", retried{}},
		{http.MethodGet, "/v1/inbox", "200", inboxPage{}},
		{http.MethodPost, "/v1/inbox/{id}/{verb}", "200", resolved{}},
		{http.MethodPost, "/v1/orders", "422", problem{}},
	} {
		t.Run(tc.method+" "+tc.path+" "+tc.status, func(t *testing.T) {
			item := document.Paths.Value(tc.path)
			require.NotNil(t, item, "no such path")
			operation := item.GetOperation(tc.method)
			require.NotNil(t, operation, "no such operation")
			response := operation.Responses.Value(tc.status)
			require.NotNil(t, response, "no such answer")
			for media, content := range response.Value.Content {
				require.True(t, strings.HasSuffix(media, "json"), media)
				requireFields(t, content.Schema.Value, reflect.TypeOf(tc.into), "")
			}
			require.NotEmpty(t, response.Value.Content)
		})
	}
}

// requireFields walks a struct beside its schema.
func requireFields(t *testing.T, schema *openapi3.Schema, into reflect.Type, place string) {
	t.Helper()
	switch {
	case into.Kind() == reflect.Pointer:
		requireFields(t, schema, into.Elem(), place)
	case into.Kind() == reflect.Slice && into.Elem().Kind() == reflect.Struct:
		require.NotNil(t, schema.Items, place)
		requireFields(t, schema.Items.Value, into.Elem(), place+"[]")
	case into.Kind() == reflect.Struct && into.PkgPath() == reflect.TypeFor[order]().PkgPath(), into.Kind() == reflect.Struct && into.Name() == "":
		for i := range into.NumField() {
			name := into.Field(i).Tag.Get("json")
			property := schema.Properties[name]
			require.NotNil(t, property, "%s.%s is not described; there are %v", place, name, properties(schema))
			requireFields(t, property.Value, into.Field(i).Type, place+"."+name)
		}
	}
}

func properties(schema *openapi3.Schema) []string {
	var names []string
	for name := range schema.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
