package erp_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tenderline/tenderline/internal/erp"
)

func TestIdempotencyKey(t *testing.T) {
	cases := map[string]struct{ in, out string }{
		"fits":          {"WEB-10001:sales_order:1", "WEB-10001:sales_order:1"},
		"64 characters": {strings.Repeat("k", 64), strings.Repeat("k", 64)},
		"empty":         {"", ""},
		"slash":         {"order/WEB-10001:book:1", "sha256:KDG4VWVCH5HAJSJREL55OGAPDJ6TM2ADAUFSLSWEG4EECELRKE6A"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) { require.Equal(t, tc.out, erp.IdempotencyKey(tc.in)) })
	}
	require.NotEqual(t, "a\n", erp.IdempotencyKey("a\n"), "a line end at the end does not slip through")
	require.NotEqual(t, erp.IdempotencyKey("refund/1/2"), erp.IdempotencyKey("refund/12"))
}

func TestIdempotencyKeyAlwaysFits(t *testing.T) {
	fits := regexp.MustCompile(`\A[A-Za-z0-9._:-]{1,64}\z`)
	rapid.Check(t, func(t *rapid.T) {
		operation := rapid.StringN(1, 200, -1).Draw(t, "operation")
		key := erp.IdempotencyKey(operation)
		require.Regexp(t, fits, key)
		require.Equal(t, key, erp.IdempotencyKey(key), "a key that was made fit stays")
	})
}
