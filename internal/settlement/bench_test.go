package settlement_test

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/settlement"
	"github.com/tenderline/tenderline/internal/settlement/report"
)

var benchSizes = []int{10_000, 100_000, 1_000_000}

// benchFile writes a payment batch report of n rows in an order that is not that of their ids.
func benchFile(b *testing.B, n int) string {
	b.Helper()
	name := filepath.Join(b.TempDir(), fmt.Sprintf("batch-%d.csv", n))
	file, err := os.Create(name)
	require.NoError(b, err)
	defer file.Close()
	out := bufio.NewWriter(file)
	fmt.Fprint(out, "demo_mid,PaymentBatchDetailReport_Daily_Classic,PaymentBatchDetail,1.10,2026-07-27T07:00:00Z to 2026-07-28T07:00:00Z,,,,,,,\r\n"+
		"batch_id,merchant_id,batch_date,request_id,merchant_ref_number,TransactionReferenceNumber,payment_type,currency,amount,ics_applications,status,transaction_date\r\n")
	for i := range n {
		k := (i * 7919) % n
		fmt.Fprintf(out, "21265991580,demo_mid,2026-07-28T04:15:21Z,%s,WEB-%d,93211601,Visa,USD,%d.%02d,\"ics_bill,ics_auth\",BATCHED,2026-07-27T09:33:55Z\r\n", benchID(k), k, 10+k%90, k%100)
	}
	require.NoError(b, out.Flush())
	return name
}

func benchID(k int) string { return fmt.Sprintf("7%021d", k) }

// scan is the journal: n operations in the order of their ids, made as they are read.
type scan struct {
	at, n int
	id    []byte
}

func (s *scan) Next() (settlement.Operation, error) {
	if s.at == s.n {
		return settlement.Operation{}, io.EOF
	}
	k := s.at
	s.at++
	s.id = fmt.Appendf(s.id[:0], "7%021d", k)
	return settlement.Operation{
		Key: "order:WEB:capture:1", OrderID: "WEB", TransactionID: string(s.id), Kind: settlement.Capture, At: time.Unix(1785229200, 0),
		Amount: canonical.Money{Amount: decimal.New(int64(10+k%90)*100+int64(k%100), -2), Currency: "USD"},
	}, nil
}

type scanned struct{ n int }

func (s scanned) Operations(context.Context, string, string) (settlement.Operations, error) {
	return &scan{n: s.n}, nil
}
func (scanned) Find(context.Context, []string) ([]settlement.Operation, error) { return nil, nil }
func (scanned) Booked(context.Context, []string) (map[string]string, error)    { return nil, nil }

// peak measures the memory that the process holds while work runs.
func peak(b *testing.B, work func()) float64 {
	b.Helper()
	b.StopTimer()
	debug.FreeOSMemory()
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	stop, done := make(chan struct{}), make(chan uint64)
	go func() {
		ticker := time.NewTicker(2 * time.Millisecond)
		defer ticker.Stop()
		most := uint64(0)
		for {
			metrics.Read(samples)
			most = max(most, samples[0].Value.Uint64()-samples[1].Value.Uint64())
			select {
			case <-ticker.C:
			case <-stop:
				done <- most
				return
			}
		}
	}()
	b.StartTimer()
	work()
	b.StopTimer()
	close(stop)
	most := <-done
	b.StartTimer()
	return float64(most) / (1 << 20)
}

func benchmark(b *testing.B, work func(name string, n int)) {
	b.Helper()
	for _, n := range benchSizes {
		b.Run(fmt.Sprintf("rows=%d", n), func(b *testing.B) {
			name := benchFile(b, n)
			most := 0.0
			b.ResetTimer()
			for range b.N {
				most = max(most, peak(b, func() { work(name, n) }))
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(most, "peak-MB")
		})
	}
}

// BenchmarkStandard is what the least would cost: encoding/csv over the file, and one ordered scan of the journal.
func BenchmarkStandard(b *testing.B) {
	benchmark(b, func(name string, n int) {
		readStandard(b, name)
		operations := &scan{n: n}
		for {
			if _, err := operations.Next(); errors.Is(err, io.EOF) {
				break
			}
		}
	})
}

func readStandard(b *testing.B, name string) {
	b.Helper()
	file, err := os.Open(name)
	require.NoError(b, err)
	defer file.Close()
	r := csv.NewReader(bufio.NewReaderSize(file, 64<<10))
	r.ReuseRecord, r.FieldsPerRecord = true, -1
	for {
		if _, err := r.Read(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkParse reads the file as rows.
func BenchmarkParse(b *testing.B) {
	benchmark(b, func(name string, n int) {
		file, err := os.Open(name)
		require.NoError(b, err)
		defer file.Close()
		r, err := report.Open(file, report.PaymentBatches, report.CSV)
		require.NoError(b, err)
		for {
			if _, err := r.Next(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				b.Fatal(err)
			}
		}
		require.Equal(b, n, r.Rows())
	})
}

// BenchmarkStandardParse is encoding/csv over the file alone, beside BenchmarkParse.
func BenchmarkStandardParse(b *testing.B) {
	benchmark(b, func(name string, _ int) { readStandard(b, name) })
}

// BenchmarkDay is the whole day: parse, spool, match, roll up.
func BenchmarkDay(b *testing.B) {
	benchmark(b, func(name string, n int) {
		file, err := os.Open(name)
		require.NoError(b, err)
		defer file.Close()
		config := defaults()
		config.Dir, config.GroupBy = b.TempDir(), []string{settlement.ByCardType}
		day, err := settlement.NewDay(config)
		require.NoError(b, err)
		r, err := report.Open(file, report.PaymentBatches, report.CSV)
		require.NoError(b, err)
		require.NoError(b, day.Add(context.Background(), r))
		marks := 0
		pages := settlement.Marks{Write: func(page []settlement.Mark) error { marks += len(page); return nil }}
		result, err := day.Match(context.Background(), scanned{n}, settlement.Sinks{Marks: pages.Mark})
		require.NoError(b, err)
		require.NoError(b, pages.Flush())
		require.NoError(b, day.Close())
		require.Equal(b, n, marks)
		require.Zero(b, result.Differences)
	})
}
