package erp_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tenderline/tenderline/internal/erp"
)

func TestSpellingsHoldWhatWasMeant(t *testing.T) {
	for written, meant := range map[string]string{
		"a-100": "A100", "A 100": "A100", "A.100": "A100", "a100": "A100", "A100": "a100", "A0100": "A100", "A1OO": "A10O", "AI00": "A100", "A10O": "A100",
		"B10O": "B100", "A100-BLUE-XL": "A100", "1A00": "A100", "A1000": "A100", "A10": "A100", "A101": "A100", "A400": "A100", "AA100": "A100",
		"15562": "015562", "00015562": "15562", "WIDGET-12": "WIDGET12", "WIDGET12": "WIDGET-12", "CUST42": "CUST042", "ACOUNT": "ACCOUNT",
	} {
		require.True(t, slices.ContainsFunc(erp.Spellings(written, 120), func(s erp.Spelling) bool { return s.Code == meant }), written)
	}
}

func TestSpellingsAreBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		code := rapid.StringMatching(`[A-Za-z0-9 ._äé/-]{0,40}`).Draw(t, "code")
		most := rapid.IntRange(0, 120).Draw(t, "most")
		got := erp.Spellings(code, most)
		require.LessOrEqual(t, len(got), most)
		seen := map[string]bool{code: true, "": true}
		for i, each := range got {
			require.False(t, seen[each.Code], each.Code)
			require.LessOrEqual(t, len(each.Code), 30)
			require.Equal(t, strings.ToValidUTF8(each.Code, ""), each.Code)
			require.True(t, i == 0 || got[i-1].Distance <= each.Distance, "the nearest first")
			seen[each.Code] = true
		}
	})
}

func TestNearestAreWhatExistsAtOneDistance(t *testing.T) {
	exists := map[string]string{"A100": "A100", "a100": "A100", "A1000": "A1000", "A10": "a10"}
	known := func(code string) (string, bool) {
		held, there := exists[code]
		return held, there
	}
	require.Equal(t, []string{"A100"}, erp.Nearest(erp.Spellings("A-100", 120), known), "written otherwise: the others are further away")
	delete(exists, "A100")
	delete(exists, "a100")
	require.ElementsMatch(t, []string{"A1000", "a10"}, erp.Nearest(erp.Spellings("A-100", 120), known))
	require.Empty(t, erp.Nearest(erp.Spellings("WIDGET", 120), known))
}
