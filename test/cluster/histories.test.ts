import { playHistories } from './histories-suite.ts'
import { bare, real } from './history-files.ts'

playHistories(bare, 8)
playHistories(real, 8)
