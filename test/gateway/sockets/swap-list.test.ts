import fc from 'fast-check';
import { SwapList, type SwapListEntry } from '../../../src/gateway/sockets/swap-list';

const entry = (): SwapListEntry => ({ place: -1 });

it('holds what was added and has not left, whatever the order', () => {
  const steps = fc.array(fc.record({ adds: fc.boolean(), which: fc.nat(20) }), { maxLength: 60 });
  fc.assert(
    fc.property(steps, (taken) => {
      const pool = Array.from({ length: 21 }, entry);
      const list = new SwapList<SwapListEntry>();
      const model = new Set<SwapListEntry>();
      for (const { adds, which } of taken) {
        const one = pool[which] as SwapListEntry;
        if (adds && !model.has(one)) {
          list.add(one);
          model.add(one);
        } else if (!adds) {
          list.remove(one);
          model.delete(one);
        }
        expect(new Set(list.copy())).toEqual(model);
        expect(list.size).toBe(model.size);
        for (const each of pool) expect(each.place >= 0).toBe(model.has(each));
      }
    }),
  );
});

it('visits every entry that stays while others leave during the visit', () => {
  const visits = fc.array(fc.array(fc.nat(9), { maxLength: 4 }), { minLength: 10, maxLength: 10 });
  fc.assert(
    fc.property(visits, (leaving) => {
      const list = new SwapList<SwapListEntry>();
      const entries = Array.from({ length: 10 }, entry);
      for (const one of entries) list.add(one);
      const visited = new Set<SwapListEntry>();
      list.each((one) => {
        expect(one.place).toBeGreaterThanOrEqual(0);
        visited.add(one);
        for (const which of leaving[entries.indexOf(one)] ?? []) list.remove(entries[which] as SwapListEntry);
      });
      for (const stayed of list.copy()) expect(visited).toContain(stayed);
    }),
  );
});
