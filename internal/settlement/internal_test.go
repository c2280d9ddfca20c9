package settlement

import (
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/settlement/report"
)

func TestTalliesDoNotOverflow(t *testing.T) {
	var sum tally
	want := new(big.Int)
	for range 40 {
		sum.add(999_999_999_999_999_999)
		want.Add(want, big.NewInt(999_999_999_999_999_999))
	}
	require.Equal(t, 40, sum.count)
	require.Equal(t, decimal.NewFromBigInt(want, -2).String(), sum.amount(2).String())
	total := decimal.Zero
	for _, part := range sum.parts(sum.amount(0)) {
		total = total.Add(decimal.NewFromInt(part))
	}
	require.Equal(t, want.String(), total.String())
}

func TestMinorUnits(t *testing.T) {
	for _, c := range []struct {
		text  string
		scale int32
		want  int64
		wrong bool
	}{
		{"12.34", 2, 1234, false}, {"12.340", 2, 1234, false}, {"12", 2, 1200, false}, {"-0.5", 3, -500, false}, {"1e3", 2, 100000, false}, {"1e3", 0, 1000, false},
		{"12.345", 2, 0, true}, {"0.1", 0, 0, true}, {"99999999999999999.99", 2, 0, true}, {"0", 2, 0, false},
	} {
		got, err := minorUnits(decimal.RequireFromString(c.text), c.scale)
		require.Equal(t, c.wrong, err != nil, c.text)
		require.Equal(t, c.want, got, c.text)
	}
}

// Values that only join to the same text are different groups.
func TestGroupsAreToldApart(t *testing.T) {
	g, err := newGrouping([]string{definedPrefix + "1", definedPrefix + "2"})
	require.NoError(t, err)
	numbers := map[uint32]bool{}
	for _, values := range [][]report.Defined{{{Key: "1", Value: "ab"}}, {{Key: "1", Value: "a"}, {Key: "2", Value: "b"}}, {{Key: "2", Value: "ab"}}, {}} {
		at, err := g.of(&report.Row{Defined: values})
		require.NoError(t, err)
		numbers[at] = true
	}
	require.Len(t, numbers, 4)
}

func TestKeptRowsComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom([]string{"", "WEB-1", "7000000000000000000001", "straße"})
		row := kept{
			line: rapid.IntRange(0, 1<<30).Draw(t, "line"), source: rapid.IntRange(0, 9).Draw(t, "source"), group: rapid.Uint32().Draw(t, "group"),
			batchDate: rapid.Int64().Draw(t, "date"), reference: text.Draw(t, "reference"), request: text.Draw(t, "request"), batch: text.Draw(t, "batch"),
			n: rapid.IntRange(0, 6).Draw(t, "n"),
		}
		for i := range row.n {
			row.amounts[i] = amount{rapid.IntRange(0, 40).Draw(t, "category"), rapid.IntRange(0, 200).Draw(t, "currency"), rapid.Int64().Draw(t, "units")}
		}
		var back kept
		back.decode(row.encode(nil))
		require.Equal(t, row, back)
	})
}

// Whatever fits into memory: the records come back sorted, equal keys in the order they were added in.
func TestSpoolSortsLikeAStableSort(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		s := newSpool(dir, rapid.IntRange(1, 400).Draw(t, "memory"))
		defer func() { require.NoError(t, s.close()) }()
		keys := rapid.SliceOfN(rapid.StringMatching(`7000(0|1|00|01)?[0-2]{0,3}`), 0, 60).Draw(t, "keys")
		last := map[string]int{}
		for i, key := range keys {
			require.NoError(t, s.add([]byte(key), []byte{byte(i)}))
		}
		c, err := s.sorted()
		require.NoError(t, err)
		before, count := "", 0
		for {
			key, value, err := c.next()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
			require.GreaterOrEqual(t, string(key), before)
			at := int(value[0])
			require.Equal(t, keys[at], string(key))
			if earlier, again := last[string(key)]; again {
				require.Greater(t, at, earlier)
			}
			last[string(key)], before = at, string(key)
			count++
		}
		require.Equal(t, len(keys), count)
	})
}

func TestEveryCategoryHasAWay(t *testing.T) {
	require.Greater(t, len(categories), 20)
	for i, category := range categories {
		require.Equal(t, i, categoryIndex(category))
		require.Equal(t, strings.ToLower(string(category)), string(category))
	}
	require.Equal(t, Nowhere, WayOf(canonical.SettlementCategory("mystery")))
	for _, kind := range feeCategories {
		require.Equal(t, Expense, WayOf(kind))
		require.True(t, invoiced(kind))
	}
}
