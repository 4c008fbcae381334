import { playHistories } from './histories-suite.ts'
import { bare, real } from './history-files.ts'

playHistories(bare, 35)
playHistories(real, 35)
