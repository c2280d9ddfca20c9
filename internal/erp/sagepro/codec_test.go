package sagepro

import (
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestAmountsAreReadWhateverTheyAreKeptIn(t *testing.T) {
	for name, value := range map[string]any{
		"text": "48.19", "filled up": " 48.1900 ", "bytes": []byte("48.19"), "a float": 48.19,
	} {
		var got amount
		require.NoError(t, got.Scan(value), name)
		require.Equal(t, "48.19", got.String(), name)
	}
	for name, value := range map[string]any{"NULL": nil, "empty": "", "blank": "  ", "zero": int64(0)} {
		got := amount{decimal.NewFromInt(7)}
		require.NoError(t, got.Scan(value), name)
		require.True(t, got.IsZero(), name)
	}
	var got amount
	require.Error(t, got.Scan("12,5"))
	require.Error(t, got.Scan(struct{}{}))
}

func TestDatesThatStandForNoneAreNone(t *testing.T) {
	for value, want := range map[any]string{
		"2026-11-20": "2026-11-20", "20261120": "2026-11-20", "2026-11-20 00:00:00": "2026-11-20", "": "", "1899-12-30": "", "1900-01-01": "", "0001-01-01": "",
		time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC): "2026-11-20", time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC): "",
	} {
		var got day
		require.NoError(t, got.Scan(value))
		require.Equal(t, day(want), got, "%v", value)
	}
	got := day("2026-11-20")
	require.NoError(t, got.Scan(nil))
	require.Empty(t, got)
	require.NoError(t, got.Scan([]byte("2026-11-20T00:00:00Z")))
	require.Equal(t, day("2026-11-20"), got)
}

func TestFlagsAndNumbers(t *testing.T) {
	for value, want := range map[any]bool{"Y": true, "y ": true, "T": true, "N": false, "": false, true: true, false: false, int64(1): true, int64(0): false, "F": false} {
		var got flag
		require.NoError(t, got.Scan(value))
		require.Equal(t, flag(want), got, "%v", value)
	}
	for value, want := range map[any]whole{"42": 42, " 42.0000": 42, int64(42): 42, 42.0: 42, true: 1, false: 0} {
		var got whole
		require.NoError(t, got.Scan(value))
		require.Equal(t, want, got, "%v", value)
	}
	var got whole
	require.NoError(t, got.Scan([]byte("7")))
	require.Equal(t, whole(7), got)
	require.NoError(t, got.Scan(nil))
	require.Zero(t, got)
	require.Error(t, got.Scan("x"))
}

func TestTimesAreUTCWhereverTheyWereRead(t *testing.T) {
	want := time.Date(2026, 11, 20, 14, 3, 22, 123456000, time.UTC)
	for name, value := range map[string]any{
		"text": "2026-11-20 14:03:22.123456", "bytes": []byte("2026-11-20T14:03:22.123456Z"),
		"without a zone": time.Date(2026, 11, 20, 14, 3, 22, 123456000, time.FixedZone("", 0)),
		"of a machine":   time.Date(2026, 11, 20, 14, 3, 22, 123456000, time.FixedZone("EST", -5*3600)),
	} {
		var got moment
		require.NoError(t, got.Scan(value), name)
		require.True(t, want.Equal(got.Time), "%s: %s", name, got)
	}
	var got moment
	require.NoError(t, got.Scan(nil))
	require.True(t, got.IsZero())
	require.Error(t, got.Scan("soon"))
}

// What is written to a column and read from it again is the same.
func TestKeysAreFilledUpAndComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.StringMatching(`[A-Z0-9]{1,10}`).Draw(t, "key")
		for column, blanks := range map[siteColumn]func(string) byte{
			{kind: kindNumber, size: 10}: func(s string) byte { return s[0] },
			{kind: kindCode, size: 10}:   func(s string) byte { return s[len(s)-1] },
		} {
			bound, err := bindValue(postgres{}, column, key)
			require.NoError(t, err)
			written := bound.(string)
			require.Len(t, written, 10)
			require.True(t, len(key) == 10 || blanks(written) == ' ', "%q", written)
			var read text
			require.NoError(t, read.Scan(written))
			require.Equal(t, key, string(read))
		}
	})
}

func TestValuesAreWrittenAsTheColumnKeepsThem(t *testing.T) {
	at := time.Date(2026, 11, 20, 15, 3, 22, 123456789, time.FixedZone("", 3600))
	cases := []struct {
		name    string
		dialect dialect
		column  siteColumn
		value   any
		want    any
	}{
		{"a customer, in lower case", lite{}, siteColumn{kind: kindCode, size: 6}, " web ", "WEB   "},
		{"no order", lite{}, siteColumn{kind: kindNumber, size: 10}, "", ""},
		{"a number as long as its column", lite{}, siteColumn{kind: kindNumber, size: 5}, "10245", "10245"},
		{"money", lite{}, siteColumn{kind: kindDecimal}, decimal.RequireFromString("48.1900"), "48.19"},
		{"a date", postgres{}, siteColumn{kind: kindDate}, "2026-11-20", "2026-11-20"},
		{"a date, without dashes", sqlServer{}, siteColumn{kind: kindDate}, day("2026-11-20"), "20261120"},
		{"no date", postgres{}, siteColumn{kind: kindDate}, "", nil},
		{"yes", postgres{}, siteColumn{kind: kindFlag, stored: kindText}, true, "Y"},
		{"no", postgres{}, siteColumn{kind: kindFlag, stored: kindText}, flag(false), "N"},
		{"yes as a bit", sqlServer{}, siteColumn{kind: kindFlag, stored: kindFlag}, true, true},
		{"a time", lite{}, siteColumn{kind: kindInstant}, at, "2026-11-20 14:03:22.123456"},
		{"a time in T-SQL", sqlServer{}, siteColumn{kind: kindInstant}, at, "2026-11-20T14:03:22.123456"},
		{"nothing", lite{}, siteColumn{kind: kindText}, nil, nil},
		{"a count", lite{}, siteColumn{kind: kindInteger}, whole(3), int64(3)},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			got, err := bindValue(tc.dialect, tc.column, tc.value)
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
		})
	}
	_, err := bindValue(lite{}, siteColumn{name: "x"}, struct{}{})
	require.Error(t, err)
}

// A column that has no room for a character takes "?" for it: two references that it would make one are kept by their hashes.
func TestReferencesThatAColumnWouldSpoilAreKeptByTheirHash(t *testing.T) {
	require.Equal(t, "C-2001", extRef("C-2001"))
	require.Equal(t, strings.Repeat("k", 64), extRef(strings.Repeat("k", 64)))
	kept := map[string]string{}
	for _, reference := range []string{"客户", "顾客", "é", " C-2001", "C-2001 ", strings.Repeat("k", 65)} {
		short := extRef(reference)
		require.Regexp(t, "^sha256:[A-Z2-7]{52}$", short)
		require.Equal(t, short, extRef(short))
		require.NotContains(t, kept, short, "%q and %q", reference, kept[short])
		kept[short] = reference
	}
}
