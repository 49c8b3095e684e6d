package sched

import (
	"context"
	"slices"
	"time"

	"github.com/flowfabric/flowfabric"
	"github.com/flowfabric/flowfabric/internal/loop"
	"github.com/flowfabric/flowfabric/internal/ops"
	"github.com/flowfabric/flowfabric/store"
)

// pass looks for work for the waiters being served.
func (p *pool) pass(ctx context.Context) error {
	wants := make([]*ops.Want, len(p.serving)) // only this goroutine writes serving
	for i, w := range p.serving {
		wants[i] = &w.want
	}
	direct, lanes := p.toSurvey()
	if len(lanes) > 0 {
		if err := p.s.survey(ctx, lanes); err != nil {
			return err
		}
	}
	found, err := p.scan(ctx, wants)
	if err != nil || found || !direct {
		return err
	}
	if len(p.sources[0].offer.capabilities) == 0 {
		return nil // there is one route it can serve, and it was asked for
	}
	if err := p.s.survey(ctx, []*lane{p.sources[0].lane}); err != nil {
		return err
	}
	_, err = p.scan(ctx, wants)
	return err
}

// surveyPause is the shortest time between two surveys of a lane whose known work keeps the pool busy.
const surveyPause = 100 * time.Millisecond

// toSurvey says which lanes to look at before claiming. A pool of one lane that can serve few routes looks by claiming
// from all of them, which is as good and saves a round trip: direct says so.
func (p *pool) toSurvey() (direct bool, lanes []*lane) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	now, look := p.s.clock.Now(), p.look
	p.look = false
	for _, src := range p.sources {
		l := src.lane
		busy := l.offers(src.offer, now) && now.Sub(l.surveyedAt) < surveyPause
		switch alone := len(l.served) == 1 && src.offer.count == 1; {
		case !look && (busy || !l.suspect(now)):
		case len(p.sources) == 1 && (alone || look && src.offer.count <= maxWindow):
			p.suppose(l, src.offer, now, alone)
			direct = true
		default:
			l.surveying = true
			lanes = append(lanes, l)
		}
	}
	return direct, lanes
}

// suppose marks all an offer can serve, which stands for a survey if nobody asks for anything else.
func (p *pool) suppose(l *lane, o *offer, now time.Time, alone bool) {
	count := p.s.tick()
	l.release(count)
	o.routes.common(o.routes, 0, func(n int) bool {
		for shard := range l.shards {
			l.mark(shard, n, count)
		}
		return true
	})
	if alone {
		l.staleAt, l.surveyedAt, l.surveyBy = 0, now, now.Add(loop.Jitter(p.s.cfg.Poll))
	}
}

// scan asks shard by shard until every want has something, each time beginning with the next shard. found says whether
// any want got something, also when a later shard failed.
func (p *pool) scan(ctx context.Context, wants []*ops.Want) (found bool, err error) {
	shards := p.s.st.Shards()
	p.turn++
	hungry := slices.Clone(wants)
	for i := range shards {
		shard := int((p.turn + uint64(i)) % uint64(len(shards)))
		err = p.claim(ctx, shard, hungry)
		hungry = slices.DeleteFunc(hungry, func(w *ops.Want) bool { return len(w.Got) > 0 })
		if err != nil || len(hungry) == 0 {
			break
		}
	}
	asked, got := 0, 0
	for _, w := range wants {
		asked += w.Claim.Max
		got += len(w.Got)
	}
	p.more = got >= min(asked, flowfabric.MaxClaim)
	return len(hungry) < len(wants), err
}

// question is what one pass asks of a lane on a shard.
type question struct {
	src     *source
	numbers []int // of the routes
	ask     ops.LaneAsk
}

// claim claims for wants on a shard, if it has anything for them.
func (p *pool) claim(ctx context.Context, shard int, wants []*ops.Want) error {
	questions, count := p.questions(shard)
	if len(questions) == 0 {
		return nil
	}
	queues := 1
	if p.more && !slices.ContainsFunc(questions, func(q question) bool { return q.ask.Bounded() }) { // a backlog
		queues = p.s.st.Lanes()
	}
	parts := shares(wants, queues)
	asks := make([][]*ops.LaneAsk, len(parts))
	units := make([]*store.Unit, len(parts))
	claims := make([]*ops.Op, len(parts))
	for i, part := range parts {
		for _, q := range questions {
			ask := q.ask
			asks[i] = append(asks[i], &ask)
		}
		claims[i] = p.s.rules.Claim(p.s.st.Shards()[shard], p.turn+uint64(i), asks[i], part)
		units[i] = &claims[i].Unit
	}
	// Not cut short: until the units have their outcome, nobody else may look at what the waiters got.
	began := p.s.clock.Now()
	err := p.s.commit.Do(context.WithoutCancel(ctx), units...)
	p.s.took(questions, p.s.clock.Now().Sub(began))
	if err != nil {
		p.learn(shard, questions, nil, count)
		return err
	}
	for i, op := range claims {
		if partErr := op.Outcome(); partErr != nil {
			err = partErr
			p.learn(shard, questions, nil, count)
			continue
		}
		p.learn(shard, questions, asks[i], count)
		collect(wants, parts[i])
	}
	return err
}

// took records how long a claim took, for each lane that was asked.
func (s *Scheduler) took(questions []question, d time.Duration) {
	for _, q := range questions {
		s.cfg.Metrics.ClaimDuration.Observe(d, string(q.src.lane.name))
	}
}

// questions are what to ask a shard: of each lane a window of the routes that may have work.
func (p *pool) questions(shard int) ([]question, uint64) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	now := p.s.clock.Now()
	var list []question
	for i := range p.sources {
		src := &p.sources[i]
		f := &src.lane.shards[shard]
		if !f.offers(src.offer, now) {
			continue
		}
		q := question{src: src, numbers: src.lane.window(shard, src.offer, p.turn)}
		q.ask = ops.LaneAsk{Lane: src.lane.name, Settings: f.settings, Seen: f.seen, Limits: f.limits, Credit: src.credits[shard]}
		for _, n := range q.numbers {
			q.ask.Routes = append(q.ask.Routes, src.lane.routes[n])
		}
		list = append(list, q)
	}
	return list, p.s.mu.count
}

// fullPause is how long a lane rests at the bound of its concurrency if this process does not free a slot before.
const fullPause = 250 * time.Millisecond

// learn takes in what a claim found out about its lanes. asks is nil for one that failed: what it looked at may have been
// hidden from others meanwhile, who then took it for gone.
func (p *pool) learn(shard int, questions []question, asks []*ops.LaneAsk, count uint64) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	now := p.s.clock.Now()
	for i, q := range questions {
		l := q.src.lane
		if asks == nil {
			for _, n := range q.numbers {
				p.s.mark(l, shard, n)
			}
			continue
		}
		ask, f := asks[i], &l.shards[shard]
		f.settings, f.seen, f.limits, q.src.credits[shard] = ask.Settings, true, ask.Limits, ask.Credit
		switch {
		case ask.Ended:
			for _, n := range q.numbers {
				l.exhausted(shard, n, count)
			}
		case ask.Held && ask.HandsOut():
			f.hold(now.Add(loop.Jitter(fullPause)), count)
		case ask.Held:
			f.hold(now.Add(loop.Jitter(p.s.cfg.Poll)), count)
		default:
			// There is more. Another claim may have met what this one was taking, and gone away for good.
			for _, n := range q.numbers {
				if !f.ready.has(n) {
					p.s.mark(l, shard, n)
				}
			}
		}
		for _, route := range ask.Left {
			p.s.mark(l, shard, l.numbers[route])
		}
	}
}

// bigClaim is from how many executions on a claim is cut up for all queues that commit, so that none is kept waiting.
const bigClaim = 100

// shares cuts wants into up to n lists that can be claimed side by side, each with its share of every want.
func shares(wants []*ops.Want, n int) [][]*ops.Want {
	total := 0
	for _, w := range wants {
		total += w.Claim.Max
	}
	if total < bigClaim {
		n = 1
	}
	parts := make([][]*ops.Want, max(1, n))
	for i := range parts {
		parts[i] = make([]*ops.Want, len(wants))
		for j, w := range wants {
			share := *w
			share.Claim.Max = w.Claim.Max*(i+1)/len(parts) - w.Claim.Max*i/len(parts)
			parts[i][j] = &share
		}
	}
	return parts
}

// collect gives each want what its share got.
func collect(wants, part []*ops.Want) {
	for i, w := range wants {
		w.Got = append(w.Got, part[i].Got...)
	}
}
